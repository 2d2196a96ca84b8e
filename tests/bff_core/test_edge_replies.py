"""What every reply says, whoever answers it: the page, a problem, or health."""

import json
import logging
import re

import pytest
from fastapi import APIRouter, Response

from bff_core.errors import DeadlinePassed
from bff_core.telemetry.log import JsonFormatter
from bff_core.testing import SimulatedInternet
from tests.bff_core.small_gateway import HOST, Store, Visit, small_gateway

router = APIRouter()


@router.get("/page")
async def page() -> dict:
    return {}


@router.get("/own")
async def own() -> Response:
    return Response("<p>", headers={"Content-Security-Policy": "default-src 'self'"}, media_type="text/html")


@router.get("/bug")
async def bug() -> None:
    raise ZeroDivisionError


@router.get("/late")
async def late() -> None:
    raise DeadlinePassed


@router.get("/products/{product_id}")
async def product(product_id: str, store: Store) -> str:
    return (await store.catalog.product(product_id)).title


EVERY_KIND = {
    "page": ("/page", [HOST], 200),
    "health": ("/livez", [HOST], 200),
    "not ready": ("/readyz", [HOST], 503),
    "no such route": ("/nowhere", [HOST], 404),
    "no host": ("/page", [], 400),
    "another host": ("/page", [(b"host", b"evil.test")], 421),
    "too long": ("/" + "x" * 10_000, [HOST], 414),
    "too many headers": ("/page", [HOST] + [(b"a", b"b")] * 100, 431),
    "too large": ("/page", [HOST, (b"content-length", b"99999999999")], 413),
    "not valid": ("/page", [HOST, (b"request-timeout", b"x")], 422),
    "bug": ("/bug", [HOST], 500),
    "late": ("/late", [HOST], 504),
    "upstream": ("/products/x", [HOST], 502),
}

every_kind = pytest.mark.parametrize(("target", "headers", "status"), EVERY_KIND.values(), ids=EVERY_KIND)


@every_kind
async def test_every_reply_tells_a_browser_what_not_to_do(target: str, headers: list, status: int) -> None:
    visit = await Visit(small_gateway(router), target, headers=headers).end()
    assert visit.status == status
    assert visit.values(b"x-content-type-options") == [b"nosniff"]
    assert visit.values(b"x-frame-options") == [b"DENY"]
    assert visit.values(b"referrer-policy") == [b"strict-origin-when-cross-origin"]
    assert visit.values(b"cross-origin-opener-policy") == [b"same-origin"]
    assert visit.values(b"content-security-policy") == [b"default-src 'none'; frame-ancestors 'none'"]


async def test_a_page_may_have_a_content_security_policy_of_its_own() -> None:
    visit = await Visit(small_gateway(router), "/own").end()
    assert visit.values(b"content-security-policy") == [b"default-src 'self'"]


@every_kind
async def test_every_reply_has_the_id_by_which_the_log_knows_it(
    target: str, headers: list, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "bff.access"):
        visit = await Visit(small_gateway(router), target, headers=headers).end()
    (request_id,) = visit.values(b"x-request-id")
    (record,) = [record for record in caplog.records if record.name == "bff.access"]
    assert (record.request_id.encode(), record.status) == (request_id, status)
    if status >= 400 and b"problem" in visit.values(b"content-type")[0]:
        assert json.loads(visit.body)["instance"].encode() == request_id


@pytest.mark.parametrize("theirs", [b"mine", b"", b"0" * 16, b"x\ny"])
async def test_an_id_that_a_client_sends_is_not_believed(theirs: bytes) -> None:
    internet = SimulatedInternet()
    app = small_gateway(router, internet)
    visit = await Visit(app, "/products/x", headers=[HOST, (b"x-request-id", theirs)]).end()
    (ours,) = visit.values(b"x-request-id")
    assert ours != theirs
    assert re.fullmatch(rb"[0-9a-f]{16}", ours)
    assert internet.requests
    for _, request in internet.requests:
        assert [value for name, value in request.headers if name == b"x-request-id"] == [ours]


async def test_no_two_requests_have_the_same_id() -> None:
    app = small_gateway(router)
    ids = [(await Visit(app, "/page").end()).values(b"x-request-id")[0] for _ in range(100)]
    assert len(set(ids)) == 100


async def logged(caplog: pytest.LogCaptureFixture, target: str, **visit: object) -> str:
    with caplog.at_level(logging.INFO, "bff.access"):
        await Visit(small_gateway(router), target, **visit).end()
    (record,) = [record for record in caplog.records if record.name == "bff.access"]
    return JsonFormatter().format(record)


async def test_a_log_line_tells_who_asked_for_what_and_how_it_ended(caplog: pytest.LogCaptureFixture) -> None:
    line = json.loads(await logged(caplog, "/page?secret=1"))
    assert line["message"] == "GET /page 200"
    found = {name: line[name] for name in ("gateway", "client", "method", "path", "status", "bytes", "level")}
    assert found == {
        "gateway": "small",
        "client": "192.0.2.1",
        "method": "GET",
        "path": "/page",
        "status": 200,
        "bytes": 2,
        "level": "info",
    }
    assert line["ms"] == 0.0


async def test_a_log_line_holds_nothing_of_a_query(caplog: pytest.LogCaptureFixture) -> None:
    assert "secret" not in await logged(caplog, "/page?secret=1")


NASTY = ["\x1b[2J", "\r\n{}", "\x00", "\u009b31m", "\u202eevil", "\u2028", '"', "\\", "\x7f"]


@pytest.mark.parametrize("nasty", NASTY, ids=ascii)
async def test_a_log_line_is_one_line_in_which_nothing_moves_the_cursor(
    nasty: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "bff.access"):
        await Visit(small_gateway(router), "/nowhere", method="G" + nasty).end()
    (record,) = [record for record in caplog.records if record.name == "bff.access"]
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["method"] == "G" + nasty


def test_a_lone_surrogate_is_escaped_like_the_rest() -> None:
    line = JsonFormatter().format(logging.makeLogRecord({"msg": "\ud800"}))
    assert line.isascii()
    assert json.loads(line)["message"] == "\ud800"


def test_a_traceback_is_part_of_its_line() -> None:
    try:
        raise ZeroDivisionError("a\nb")
    except ZeroDivisionError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "oh", None, (type(error), error, error.__traceback__))
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "ZeroDivisionError: a\nb" in json.loads(line)["traceback"]
