"""A page of a gateway that takes API keys, as programs with and without one see it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from bff_core.auth import Requires, Viewer
from bff_core.auth.key_format import ApiKey, new_key
from bff_core.auth.key_store import KeyStore
from bff_core.context import current
from bff_core.telemetry.log import JsonFormatter
from tests.bff_core.kept_keys import PEPPER, kept
from tests.bff_core.small_gateway import browser, small_gateway

pytestmark = pytest.mark.real_time

router = APIRouter()


@router.get("/products", dependencies=[Requires("products:read")])
async def products(viewer: Viewer) -> dict[str, Any]:
    principal = current().principal
    assert principal is not None
    return {"by": principal.issuer, "for": principal.subject, "plan": principal.plan, "customer": viewer.customer_id}


@router.get("/open/{rest:path}")
async def anybody(rest: str, q: str = "", key: str = "") -> str:
    return f"{rest} {q} {key}"


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/keys.db"


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    caplog.handler.setFormatter(JsonFormatter())
    return caplog


@asynccontextmanager
async def gateway(database: str, **changed: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = small_gateway(router, keys={"database": database, "pepper": PEPPER, **changed})
    async with app.router.lifespan_context(app), browser(app) as client:
        yield client


@asynccontextmanager
async def keeping(database: str) -> AsyncIterator[KeyStore]:
    store = KeyStore(database)
    try:
        yield store
    finally:
        await store.close()


async def made(database: str, environment: str = "live", **changed: Any) -> ApiKey:
    key = new_key(environment)
    async with keeping(database) as store:
        await store.add(kept(key, **{"created_at": int(time()), **changed}))
    return key


def audited(logged: pytest.LogCaptureFixture) -> list[tuple[str, str | None, str | None, str]]:
    lines = [json.loads(line) for line in logged.text.splitlines()]
    return [
        (line["event"], line.get("key_id"), line.get("owner"), line["why"])
        for line in lines
        if line["logger"] == "bff.audit"
    ]


@pytest.mark.parametrize("how", ["X-API-Key: {}", "Authorization: Bearer {}", "authorization: bearer   {}"])
async def test_whoever_shows_a_key_with_the_scope_is_served(database: str, how: str) -> None:
    key = await made(database)
    name, value = how.format(key.text).split(": ")
    async with gateway(database) as client:
        for _ in range(2):  # asked for, and known
            reply = await client.get("/products", headers={name: value})
            assert (reply.status_code, reply.json()) == (
                200,
                {"by": "small", "for": "acme", "plan": "gold", "customer": None},
            )


async def test_whoever_shows_no_key_is_told_how(database: str) -> None:
    async with gateway(database) as client:
        reply = await client.get("/products")
    assert (reply.status_code, reply.headers["www-authenticate"]) == (401, 'Bearer realm="small"')
    assert reply.json()["type"] == "/problems/unauthenticated"


async def test_a_key_without_the_scope_is_forbidden(database: str) -> None:
    key = await made(database, scopes=frozenset({"orders:read"}))
    async with gateway(database) as client:
        assert (await client.get("/products", headers={"X-API-Key": key.text})).status_code == 403


async def test_every_refusal_is_the_same_to_the_client_and_one_line_for_us(
    database: str, logged: pytest.LogCaptureFixture
) -> None:
    expired = await made(database, owner="late", created_at=1, expires_at=2)
    revoked = await made(database, owner="gone")
    async with keeping(database) as store:
        await store.revoke(kept(revoked, created_at=1), 2)
    elsewhere, stranger, good = await made(database, "test"), new_key("live"), await made(database)
    guessed = await made(database, owner="other", hash=b"another's, of 32 bytes: it is not")
    refused = {
        expired.text: ("refused", expired.id, "late", "it is expired"),
        revoked.text: ("refused", revoked.id, "gone", "it is revoked"),
        elsewhere.text: ("refused", elsewhere.id, None, "it is for test, and here is live"),
        stranger.text: ("refused", stranger.id, None, "there is no such key"),
        f"{good.text}x": ("refused", None, None, "it is not written as keys are"),
        f"{good.text[:-1]}!": ("refused", None, None, "it is not written as keys are"),
        guessed.text: ("refused", guessed.id, None, "its secret is wrong"),
        "nonsense": ("refused", None, None, "it is too short or too long for a key"),
    }
    async with gateway(database) as client:
        replies = [await client.get("/open/x", headers={"X-API-Key": text}) for text in refused]
    assert {(reply.status_code, reply.headers["www-authenticate"], reply.json()["title"]) for reply in replies} == {
        (401, 'Bearer realm="small", error="invalid_token"', "Who you are must be known for this, and is not.")
    }
    assert audited(logged) == list(refused.values())
    for text in refused:
        assert text not in logged.text
        assert text.split("_")[-2:][0] not in logged.text


async def test_what_is_no_key_is_left_to_other_proofs_and_refused_where_there_are_none(database: str) -> None:
    async with gateway(database) as client:
        reply = await client.get("/open/x", headers={"Authorization": "Bearer eyJ0.e30.x"})
        assert (reply.status_code, (await client.get("/open/x")).status_code) == (401, 200)


async def test_two_keys_at_once_are_refused(database: str) -> None:
    key = await made(database)
    async with gateway(database) as client:
        both: Mapping[str, str] = {"X-API-Key": key.text, "Authorization": f"Bearer {key.text}"}
        assert (await client.get("/products", headers=both)).status_code == 400
        twice = [("X-API-Key", key.text), ("X-API-Key", key.text)]
        assert (await client.get("/products", headers=twice)).status_code == 400


# in the URL

KEY = new_key("live")


@pytest.mark.parametrize(
    "target",
    [
        "/open/x?api_key={key}",
        "/open/x?key={key}",
        "/open/x?key=a&key={key}",
        "/open/x?%61pi%5Fkey={key}",
        "/open/x?q={escaped}",
        "/open/x?q=my+key+is+{cut}",
        "/open/x?{key}",
        "/open/x?q=1&{escaped}",
        "/open/x?{key}=1",
        "/open/x?key%5B{key}%5D=1",
        "/open/{key}",
        "/open/{escaped}",
        "/nowhere/{key}/more",
    ],
)
async def test_a_key_in_the_url_is_refused_and_never_logged(
    database: str, logged: pytest.LogCaptureFixture, target: str
) -> None:
    async with gateway(database) as client:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # the client's own, which logs the URL
        ways = {"key": KEY.text, "escaped": KEY.text.replace("_", "%5F"), "cut": KEY.text[:-5]}
        reply = await client.get(target.format(**ways))
    assert (reply.status_code, reply.json()["type"]) == (400, "/problems/invalid-request")
    assert "in the URL" in reply.json()["title"]
    (line,) = audited(logged)
    assert line[:2] == ("refused", KEY.id)
    secret = KEY.text.split("_")[3]
    assert secret[:8] not in logged.text
    assert secret[:8] not in reply.text


@pytest.mark.parametrize(
    "query", ["access_token=x", "api_key=x", "ApiKey=x", "q=1&ACCESS%5Ftoken=eyJ0.e30.x", "apikey", "api-key="]
)
async def test_a_parameter_that_is_named_like_a_key_is_refused(database: str, query: str) -> None:
    async with gateway(database) as client:
        assert (await client.get(f"/open/x?{query}")).status_code == 400


@pytest.mark.parametrize("target", ["/open/bff_core", "/open/x?q=bff_live_", "/open/x?key=colour", "/open/x?q=50%25"])
async def test_what_only_looks_a_little_like_a_key_is_none(database: str, target: str) -> None:
    async with gateway(database) as client:
        assert (await client.get(target)).status_code == 200


# the database


async def test_a_revoked_key_is_refused_by_every_gateway_on_the_database(database: str) -> None:
    key = await made(database)
    now = asyncio.get_running_loop().time
    async with gateway(database, fresh="400ms") as one, gateway(database, fresh="400ms") as other:
        for client in (one, other):
            assert (await client.get("/products", headers={"X-API-Key": key.text})).status_code == 200
        async with keeping(database) as store:
            await store.revoke(kept(key, created_at=1), int(time()))
        revoked = now()
        for client in (one, other):
            while (await client.get("/products", headers={"X-API-Key": key.text})).status_code == 200:
                await asyncio.sleep(0.01)
        assert now() - revoked < 0.6


async def test_without_a_database_a_gateway_serves_whoever_shows_no_key(tmp_path: Path) -> None:
    async with gateway(f"sqlite+aiosqlite:///{tmp_path}/nowhere/keys.db") as client:
        reply = await client.get("/products", headers={"X-API-Key": new_key("live").text})
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
        assert "nowhere" not in reply.text
        assert (await client.get("/open/x")).status_code == 200
        assert (await client.get("/livez")).status_code == 200


async def test_a_last_use_is_written_when_the_gateway_closes(database: str) -> None:
    key = await made(database)
    before = int(time())
    async with gateway(database) as client:
        await client.get("/products", headers={"X-API-Key": key.text})
    async with keeping(database) as store:
        (found,) = await store.of("live")
    assert found.last_used_at is not None
    assert before - 1 <= found.last_used_at <= time()
