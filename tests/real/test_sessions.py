"""Sessions of two gateway processes in one Redis, as they run."""

import asyncio
import html
import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from tests.bff_core.redis_server import MISSING, RedisServer
from tests.identity import PASSWORDS, WEB
from tests.processes import ask, environment, free_ports, listens, process, service, until
from tests.store import SERVICES

pytestmark = [pytest.mark.real, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

BOOK = "/products/pojos-in-action"
CLICK = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate", "accept": "text/html"}
SCRIPT = {"x-csrf": "1"}
LIFETIME = 6  # seconds of an access token: longer than fifty requests take on a machine that is busy


@dataclass
class Shop:
    """Two processes of one gateway, by their addresses; ``log`` is that of the provider."""

    gateways: list[str]
    provider: str
    redis: RedisServer
    log: Path

    def log_in(self, user: str = "alice") -> dict[str, str]:
        """The cookie of somebody who has logged in at the first of them."""
        with httpx.Client(base_url=self.gateways[0]) as browser, httpx.Client() as away:
            page = away.get(browser.get("/login", headers=CLICK).headers["location"])
            action = html.unescape(re.search(r'<form method="post" action="([^"]+)"', page.text)[1])
            proof = re.search(r'name="proof" value="([^"]+)"', page.text)[1]
            form = {"proof": proof, "username": user, "password": PASSWORDS[user]}
            back = away.post(f"{self.provider}{action}", data=form).headers["location"]
            assert browser.get(back, headers=CLICK).status_code == 200
            return {"cookie": f"session={browser.cookies['session']}", **SCRIPT}

    def grants(self) -> int:
        """How often the provider was asked for tokens."""
        return self.log.read_text().count('"/token"')


@pytest.fixture(scope="module")
def data(databases: Path) -> Path:
    return databases


@pytest.fixture(scope="module")
def ports(data: Path) -> Iterator[dict[str, int]]:
    found = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    with ExitStack() as stack:
        for name in ("catalog", "orders"):
            stack.enter_context(service(name, found[name], data))
        yield found


@pytest.fixture(scope="module")
def shop(ports: Mapping[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("identity")
    provider, *free = free_ports(5)
    listen, admins = free[:2], free[2:]
    origin, issuer = f"http://127.0.0.1:{listen[0]}", f"http://127.0.0.1:{provider}"
    (folder / "clients.toml").write_text(f"""
        [web]
        name = "the bookshop"
        secret = "{WEB[1]}"
        grants = ["authorization_code", "refresh_token"]
        scopes = ["openid", "profile", "orders:read"]
        redirect_uris = ["{origin}/login/callback"]
    """)
    words = ("--port", str(provider), "--data", str(folder), "--clients", str(folder / "clients.toml"))
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        log = stack.enter_context((folder / "log").open("w"))
        words += ("--access-token-lifetime", str(LIFETIME), "--verbose")
        stack.enter_context(process("-m", "demo", "identity", *words, stdout=log.fileno()))
        for place, admin in zip(listen, admins, strict=True):
            env = environment("web", place, admin, ports) | {
                "BFF_WEB__SESSION__ORIGIN": origin,
                "BFF_WEB__SESSION__ISSUER": issuer,
                "BFF_WEB__SESSION__STORE": redis.url,
            }
            stack.enter_context(process("-m", "bff_core.cli", "run", "web", env=env))
        for port in (provider, *listen, *admins):
            listens(port)
        yield Shop([f"http://127.0.0.1:{port}" for port in listen], issuer, redis, folder / "log")


def test_fifty_requests_at_once_at_two_processes_renew_a_session_once(shop: Shop) -> None:
    cookie = shop.log_in()
    began = monotonic()
    assert ask(f"{shop.gateways[1]}/session", headers=cookie)[2]["signed_in"]
    until(lambda: monotonic() - began > LIFETIME)
    before = shop.grants()
    said = asyncio.run(_at_once([f"{shop.gateways[number % 2]}/session" for number in range(50)], cookie))

    assert [who["shown_as"] for who in said] == ["Alice Archer"] * 50
    assert shop.grants() - before == 1


def test_a_logout_at_one_process_is_one_at_the_other(shop: Shop) -> None:
    cookie = shop.log_in()
    assert ask(f"{shop.gateways[1]}/session", headers=cookie)[2]["signed_in"]
    status, _, _ = ask(f"{shop.gateways[0]}/logout", method="POST", headers={**cookie, "origin": shop.gateways[0]})
    assert status == 200
    assert not ask(f"{shop.gateways[1]}/session", headers=cookie)[2]["signed_in"]


def test_without_redis_pages_are_drawn_nobody_is_logged_out_and_it_heals(shop: Shop) -> None:
    cookie = shop.log_in()
    whole = ask(f"{shop.gateways[0]}/api{BOOK}", headers=cookie)
    assert len(whole[2]["purchases"]) == 2

    os.kill(shop.redis.pid, signal.SIGSTOP)
    try:
        for gateway in shop.gateways:
            status, headers, page = ask(f"{gateway}/api{BOOK}", headers=cookie)
            assert (status, page["product"]["title"], page["purchases"]) == (200, "POJOs in Action", None)
            assert "purchases;missing=unavailable" in headers["page-parts"]
            assert "set-cookie" not in headers
            assert ask(f"{gateway}/session", headers=cookie)[0] == 503
    finally:
        os.kill(shop.redis.pid, signal.SIGCONT)
    until(lambda: ask(f"{shop.gateways[0]}/session", headers=cookie)[0] == 200, within=5)
    assert len(ask(f"{shop.gateways[0]}/api{BOOK}", headers=cookie)[2]["purchases"]) == 2


async def _at_once(urls: list[str], headers: Mapping[str, str]) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(headers=headers, timeout=20) as http:
        return [reply.json() for reply in await asyncio.gather(*(http.get(url) for url in urls))]
