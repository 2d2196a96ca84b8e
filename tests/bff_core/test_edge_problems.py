"""Whatever goes wrong is a problem document that tells a client what it may know, and nothing more."""

import inspect
import json
import logging
from typing import Annotated, Any
from unittest.mock import AsyncMock

import pytest
from fastapi import APIRouter, Header, Query, Response
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from bff_core import errors
from bff_core.edge.problems import Problems, problem
from bff_core.errors import (
    BadStatus,
    CircuitOpen,
    CrossSite,
    GatewayError,
    InvalidRequest,
    LoginFailed,
    MethodNotAllowed,
    Throttled,
    Unauthenticated,
    UpstreamError,
)
from bff_core.gateway import gateway
from bff_core.testing import SimulatedInternet
from tests.bff_core.small_gateway import Clients, Store, Visit, browser, settings, small_gateway
from tests.store import answer

SECRET = "catalog-7.internal"


def made(kind: type[GatewayError]) -> GatewayError:
    """One of each, with what a client must not see."""
    if kind is InvalidRequest:
        return InvalidRequest(("query.limit", "is too large"))
    if kind is MethodNotAllowed:
        return MethodNotAllowed("GET")
    if kind is BadStatus:
        return BadStatus(SECRET, 500)
    if kind is Throttled:
        return Throttled(SECRET, 429, 1.2)
    if kind is Unauthenticated:
        return Unauthenticated('Bearer realm="small"', detail=SECRET)
    if kind is CircuitOpen:
        return CircuitOpen(SECRET, 1.2)
    return kind(SECRET, SECRET) if issubclass(kind, UpstreamError) else kind(SECRET)


KINDS = [
    kind for name in errors.__all__ if inspect.isclass(kind := getattr(errors, name)) and issubclass(kind, GatewayError)
]
UNEXPECTED = [ZeroDivisionError(SECRET), KeyError(SECRET), RuntimeError(SECRET), HTTPException(418, SECRET)]


def raising(error: Exception) -> APIRouter:
    router = APIRouter()

    @router.get("/")
    async def page() -> None:
        raise error

    return router


router = APIRouter()


@router.get("/items/{item_id}")
async def item(
    item_id: int, limit: Annotated[int, Query(le=50)] = 10, x_trace: Annotated[int | None, Header()] = None
) -> int:
    return item_id


@router.get("/products/{product_id}")
async def product(product_id: str, store: Store) -> str:
    return (await store.catalog.product(product_id)).title


@pytest.mark.parametrize("kind", KINDS)
async def test_an_expected_error_is_its_own_problem_and_keeps_its_message_to_itself(kind: type[GatewayError]) -> None:
    async with browser(small_gateway(raising(made(kind)))) as client:
        reply = await client.get("/")
    assert reply.status_code == kind.status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    assert SECRET not in reply.text
    document = reply.json()
    assert document.pop("errors", None) == (
        [{"field": "query.limit", "reason": "is too large"}] if kind is InvalidRequest else None
    )
    assert document == {
        "type": f"/problems/{kind.kind}",
        "title": kind.title,
        "status": kind.status,
        "instance": reply.headers["x-request-id"],
    }


def test_the_statuses_and_types_are_those_that_are_promised() -> None:
    promised = {
        401: "unauthenticated",
        404: "not-found", 422: "invalid-request", 400: "invalid-request", 415: "invalid-request", 403: "forbidden",
        413: "too-large", 431: "too-large", 414: "too-large", 502: "bad-upstream", 503: "temporary-reduced-capacity",
        504: "timeout", 500: "internal", 405: "method-not-allowed", 421: "misdirected-request",
    }  # fmt: skip
    finer = {CrossSite: "cross-site-request", LoginFailed: "login-failed"}
    assert {kind.status for kind in KINDS} == promised.keys()
    assert all(kind.kind == finer.get(kind, promised[kind.status]) for kind in KINDS)


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
async def test_an_unexpected_error_is_500_with_an_id_that_the_log_has(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with browser(small_gateway(raising(error))) as client:
        reply = await client.get("/")
    assert reply.status_code == 500
    assert reply.json() == {
        "type": "/problems/internal",
        "title": "Something went wrong on our side.",
        "status": 500,
        "instance": reply.headers["x-request-id"],
    }
    (record,) = [record for record in caplog.records if record.name == "bff.problems"]
    assert record.levelno == logging.ERROR
    assert record.request_id == reply.headers["x-request-id"]
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize(("kind", "logged"), [(errors.Unreachable, True), (errors.NotFound, False)])
async def test_an_error_that_is_ours_is_logged_with_what_the_client_may_not_know(
    kind: type[GatewayError], logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with browser(small_gateway(raising(made(kind)))) as client:
        reply = await client.get("/")
    found = [(record.getMessage(), record.request_id) for record in caplog.records if record.name == "bff.problems"]
    assert found == ([(f"{SECRET}: {SECRET}", reply.headers["x-request-id"])] if logged else [])


@pytest.mark.parametrize(("asked_for", "said"), [(0.0, "0"), (0.001, "1"), (1.0, "1"), (1.2, "2"), (86_400.0, "86400")])
async def test_retry_after_is_in_whole_seconds_and_never_sooner_than_true(asked_for: float, said: str) -> None:
    async with browser(small_gateway(raising(Throttled(SECRET, 429, asked_for)))) as client:
        assert (await client.get("/")).headers["retry-after"] == said


async def test_without_a_moment_to_come_back_none_is_made_up() -> None:
    async with browser(small_gateway(raising(Throttled(SECRET, 429, None)))) as client:
        assert "retry-after" not in (await client.get("/")).headers


async def test_a_route_that_is_not_there_is_not_found() -> None:
    async with browser(small_gateway(router)) as client:
        reply = await client.get("/nothing/here")
    assert (reply.status_code, reply.json()["type"]) == (404, "/problems/not-found")


async def test_a_method_that_is_not_there_is_answered_with_those_that_are() -> None:
    async with browser(small_gateway(router)) as client:
        reply = await client.delete("/items/7")
    assert (reply.status_code, reply.json()["type"]) == (405, "/problems/method-not-allowed")
    assert reply.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid-request"), (404, "not-found"), (413, "too-large"), (415, "invalid-request")]
)
async def test_what_the_framework_refuses_is_a_problem_in_our_words(status: int, kind: str) -> None:
    async with browser(small_gateway(raising(HTTPException(status, SECRET)))) as client:
        reply = await client.get("/")
    assert (reply.status_code, reply.json()["type"]) == (status, f"/problems/{kind}")
    assert SECRET not in reply.text


@pytest.mark.parametrize(
    ("target", "field"),
    [("/items/seven", "path.item_id"), ("/items/7?limit=51", "query.limit"), ("/items/7?limit=", "query.limit")],
)
async def test_a_parameter_that_is_not_valid_is_named(target: str, field: str) -> None:
    async with browser(small_gateway(router)) as client:
        reply = await client.get(target)
    assert reply.status_code == 422
    ((found),) = reply.json()["errors"]
    assert found["field"] == field
    assert found["reason"]


async def test_every_parameter_that_is_not_valid_is_named_at_once() -> None:
    async with browser(small_gateway(router)) as client:
        reply = await client.get("/items/x?limit=y", headers={"x-trace": "z"})
    assert [wrong["field"] for wrong in reply.json()["errors"]] == ["path.item_id", "query.limit", "header.x-trace"]


@pytest.mark.parametrize("value", ["%ff", "%00", "%ed%a0%80", "%0d%0aset-cookie:a=b", "<script>", "9" * 5000])
async def test_no_parameter_whatsoever_is_a_crash(value: str) -> None:
    app = small_gateway(router)
    for target in (f"/items/7?limit={value}", f"/items/7?{value}={value}"):
        visit = await Visit(app, target).end()
        assert visit.status in {200, 414, 422}
        assert b"\r" not in b"".join(each for pair in visit.headers for each in pair)


async def test_an_upstream_that_babbles_is_a_502_that_names_nobody() -> None:
    internet = SimulatedInternet({"catalog.test": answer(SECRET.encode())})
    async with browser(small_gateway(router, internet)) as client:
        reply = await client.get("/products/x")
    assert (reply.status_code, reply.json()["type"]) == (502, "/problems/bad-upstream")
    assert SECRET not in reply.text
    assert "catalog" not in reply.text


async def test_an_error_after_the_head_ends_the_connection_and_is_not_a_second_answer() -> None:
    streams = APIRouter()

    @streams.get("/")
    async def page() -> StreamingResponse:
        async def parts() -> Any:
            yield b"half"
            raise ZeroDivisionError

        return StreamingResponse(parts())

    visit = Visit(small_gateway(streams), "/")
    with pytest.raises(ZeroDivisionError):
        await visit.end()
    assert (visit.status, visit.body, visit.whole) == (200, b"half", False)


async def test_a_gateway_may_draw_its_problems_otherwise() -> None:
    def draw(error: GatewayError, scope: Any) -> Response:
        return Response(f"<h1>{error.title}</h1>", error.status, media_type="text/html")

    app = gateway(settings(), Clients, [raising(made(errors.NotFound))], wire=SimulatedInternet(), draw_problem=draw)
    async with browser(app) as client:
        reply = await client.get("/")
    assert (reply.status_code, reply.text) == (404, "<h1>There is nothing here by that name.</h1>")
    assert reply.headers["x-content-type-options"] == "nosniff"


async def test_a_start_that_fails_is_not_hidden_by_drawing_it() -> None:
    def draw(error: GatewayError, scope: Any) -> Response:
        raise AssertionError("there is nobody to draw for")

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Problems(failing, draw)({"type": "lifespan"}, AsyncMock(), AsyncMock())


def test_a_problem_is_ascii_whatever_the_client_said() -> None:
    body = bytes(problem(InvalidRequest(("body.é\u202e\ud800", "x\n")), {}).body)
    assert body.isascii()
    assert json.loads(body)["errors"] == [{"field": "body.é\u202e\ud800", "reason": "x\n"}]
