"""Logging in with a provider that others wrote: ``oidc-provider-mock``, over sockets."""

import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from bff_core.gateway import gateway
from bff_core.wire.http1 import Http1Wire
from tests.bff_core.login_gateway import CLICK, FORM, KEY, LINK, ORIGIN, SCRIPT, goes_on_to, router, set_cookies
from tests.bff_core.small_gateway import Clients, settings
from tests.processes import free_ports, listens, process

pytestmark = pytest.mark.real_time

HOUR = 3600.0


class Elsewhere:
    """A gateway, whose clock may be ahead, and one browser of it."""

    def __init__(self, issuer: str, app: FastAPI, ahead: list[float]) -> None:
        self.issuer, self.app, self._ahead = issuer, app, ahead
        self.browser = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN)

    def pass_time(self, seconds: float) -> None:
        self._ahead[0] += seconds

    async def come_back(self, **chosen: str) -> httpx.Response:
        """Go to the provider, choose, and come back."""
        begun = await self.browser.get("/login", params={"return_to": "/page"}, headers=CLICK)
        async with httpx.AsyncClient() as away:
            answer = await away.post(begun.headers["location"], data=chosen)
        back = urlsplit(answer.headers["location"])
        return await self.browser.get(f"{back.path}?{back.query}", headers=LINK)

    async def who(self) -> list[str]:
        found: list[str] = (await self.browser.get("/who", headers=SCRIPT)).json()
        return found


@pytest.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    (port,) = free_ports(1)
    words = ("--port", str(port), "--token-max-age", "3600")
    with process("-m", "oidc_provider_mock", *words, env={"AUTHLIB_INSECURE_TRANSPORT": "1"}):
        listens(port)
        issuer, ahead = f"http://127.0.0.1:{port}", [0.0]
        session = {
            "origin": ORIGIN,
            "issuer": issuer,
            "client_id": "web",
            "client_secret": "whatever",
            "keys": KEY,
            "scopes": ["openid", "profile"],
        }
        wire = Http1Wire()
        app = gateway(
            settings(session=session, hosts=["localhost"]),
            Clients,
            [router],
            wire=wire,
            clock=lambda: time.time() + ahead[0],
        )
        yield Elsewhere(issuer, app, ahead)
        await wire.close()


async def test_whoever_logs_in_there_is_known_here(elsewhere: Elsewhere) -> None:
    reply = await elsewhere.come_back(sub="alice")
    assert goes_on_to(reply) == "/page"
    assert await elsewhere.who() == [elsewhere.issuer, "alice", "openid", "profile"]
    assert (await elsewhere.browser.get("/session", headers=SCRIPT)).json()["signed_in"]


async def test_who_does_not_want_to_is_nobody(elsewhere: Elsewhere) -> None:
    reply = await elsewhere.come_back(action="deny")
    assert "session" not in set_cookies(reply)
    assert await elsewhere.who() == []


async def test_a_session_is_renewed_there(elsewhere: Elsewhere) -> None:
    await elsewhere.come_back(sub="alice")
    for _ in range(3):
        elsewhere.pass_time(HOUR + 1)
        assert (await elsewhere.who())[1] == "alice"


async def test_a_session_ends_when_it_is_not_renewed_there(elsewhere: Elsewhere) -> None:
    await elsewhere.come_back(sub="alice")
    async with httpx.AsyncClient() as operator:
        await operator.post(f"{elsewhere.issuer}/users/alice/revoke-tokens")
    assert (await elsewhere.who())[1] == "alice"
    elsewhere.pass_time(HOUR + 1)
    assert await elsewhere.who() == []


async def test_a_logout_goes_on_there(elsewhere: Elsewhere) -> None:
    await elsewhere.come_back(sub="alice")
    csrf = (await elsewhere.browser.get("/session", headers=SCRIPT)).json()["csrf"]
    reply = await elsewhere.browser.post("/logout", data={"csrf": csrf}, headers=FORM)
    assert goes_on_to(reply).startswith(f"{elsewhere.issuer}/oauth2/end_session?id_token_hint=")
    assert await elsewhere.who() == []
