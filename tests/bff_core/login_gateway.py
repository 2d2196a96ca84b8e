"""A whole gateway that browsers log in to, the identity provider of the demo behind it, and browsers in front."""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from fastapi import APIRouter, Request

from bff_core.auth import Requires, form_token
from bff_core.composition import Composition
from bff_core.context import current
from bff_core.gateway import gateway
from bff_core.testing import SimulatedInternet
from demo.identity.clients import load
from tests.bff_core.small_gateway import Clients, settings
from tests.identity import ISSUER, PASSWORDS, WEB, Identity, Visitor

__all__ = ["CLICK", "FORM", "FROM_OUTSIDE", "KEY", "LINK", "ORIGIN", "SCRIPT", "SECURE", "Browser", "LoginGateway"]

ORIGIN = "http://localhost:8000"
SECURE = "https://shop.test"
KEY = b64encode(b"a key of thirty-two bytes, or so").decode()

CLICK = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate", "accept": "text/html"}
"""What a browser says that follows a link of ours,"""
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "accept": "text/html"}
"""one of another site,"""
SCRIPT = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "x-csrf": "1"}
"""a script of ours,"""
FORM = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate", "origin": ORIGIN}
"""a form of ours,"""
FROM_OUTSIDE = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors", "origin": "https://evil.test"}
"""and a script of others."""

router = APIRouter()


@router.get("/who")
async def who() -> list[str]:
    principal = current().principal
    return [] if principal is None else [principal.issuer, principal.subject, *sorted(principal.scopes)]


@router.get("/mine", dependencies=[Requires("orders:read")])
async def mine() -> str:
    return "mine"


@router.get("/page")
async def page() -> dict[str, str | None]:
    async with Composition() as parts:
        public = parts.required("public", _said("public"))
        private = parts.optional("private", _said("private"), scope="orders:read")
    return {"public": public.value, "private": private.value}


@router.get("/form")
async def form() -> str:
    return form_token()


@router.api_route("/change", methods=["POST", "PUT", "PATCH", "DELETE"])
async def change(request: Request) -> str:
    return (await request.body()).decode()


async def _said(text: str) -> str:
    await asyncio.sleep(0.01)  # what a service takes
    return text


class LoginGateway:
    """The gateway on ``internet``, with its provider there as ``identity``; it tells the gateway of logouts.

    The clock of both is ``identity.now``.
    """

    def __init__(self, folder: Path, *, origin: str = ORIGIN, access_lifetime: int = 300, **session: Any) -> None:
        self.origin = origin
        self.identity = Identity(folder, _clients(origin), answering=self._hear, access_lifetime=access_lifetime)
        self.given: list[dict[str, Any]] = []
        """What the provider has answered at its token endpoint."""
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        """What happens while such an answer is on its way."""
        self.internet = SimulatedInternet({"127.0.0.1": self._provider})
        set_up = {
            "origin": origin,
            "issuer": ISSUER,
            "client_id": WEB[0],
            "client_secret": WEB[1],
            "keys": KEY,
            "scopes": ["openid", "profile", "orders:read"],
            **session,
        }
        self.app = gateway(
            settings(session=set_up, hosts=["gateway.test", "localhost", "127.0.0.1", "shop.test"]),
            Clients,
            [router],
            wire=self.internet,
            clock=lambda: self.identity.now,
        )

    def browser(self) -> "Browser":
        """One that was never here before."""
        return Browser(self)

    def asked(self, path: str) -> int:
        """How often the provider was asked for this."""
        return sum(request.target.partition("?")[0] == path for _, request in self.internet.requests)

    async def _provider(self, scope: Any, receive: Any, send: Any) -> None:
        async def watched(message: Any) -> None:
            if scope["path"] == "/token" and message.get("body"):
                self.given.append(json.loads(message["body"]))
                if self.meanwhile is not None:
                    await self.meanwhile()
            await send(message)

        await self.identity.app(scope, receive, watched)

    async def _hear(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Browser:
    """It keeps cookies, at the gateway and at the provider, and follows no redirect unasked."""

    def __init__(self, gateway: LoginGateway) -> None:
        self._gateway = gateway
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(gateway.app), base_url=gateway.origin)
        self.provider: Visitor = gateway.identity.browser()

    async def get(self, target: str, headers: Mapping[str, str] = SCRIPT) -> httpx.Response:
        return await self.http.get(target, headers=headers)

    async def begin(self, return_to: str = "/") -> str:
        """Follow the link; where it leads to."""
        reply = await self.http.get("/login", params={"return_to": return_to}, headers=CLICK)
        assert reply.status_code == 303, reply.text
        return reply.headers["location"]

    async def allow(self, location: str, user: str = "alice") -> str:
        """Log in at the provider; where that leads back to."""
        reply = await self.provider.http.get(location)
        if reply.status_code == 200:
            reply = await self.provider.send(reply, username=user, password=PASSWORDS[user])
        assert reply.status_code == 303, reply.text
        return reply.headers["location"]

    async def come_back(self, location: str) -> httpx.Response:
        """Follow the redirect of the provider, as it says, but to the gateway of the test."""
        parts = urlsplit(location)
        return await self.http.get(f"{parts.path}?{parts.query}", headers=LINK)

    async def log_in(self, user: str = "alice", return_to: str = "/") -> httpx.Response:
        """All of it; the page that goes on by itself."""
        reply = await self.come_back(await self.allow(await self.begin(return_to), user))
        assert reply.status_code == 200, reply.text
        return reply

    async def session(self) -> dict[str, Any]:
        """What the script of a page is told."""
        reply = await self.get("/session")
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def log_out(self, path: str = "/logout") -> httpx.Response:
        """Send the form."""
        csrf = (await self.session())["csrf"]
        return await self.http.post(path, data={"csrf": csrf}, headers={**FORM, "origin": self._gateway.origin})


def goes_on_to(reply: httpx.Response) -> str:
    """Where a page goes on to by itself."""
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', reply.text)
    assert found is not None, reply.text
    return unescape(found[1])


def set_cookies(reply: httpx.Response) -> dict[str, str]:
    """What is set, by the names of the cookies."""
    return {one.partition("=")[0]: one for one in reply.headers.get_list("set-cookie")}


def _clients(origin: str) -> dict[str, Any]:
    ours = load()
    places = {
        "redirect_uris": (f"{origin}/login/callback",),
        "post_logout_redirect_uris": (f"{origin}/",),
        "backchannel_logout_uri": f"{origin}/logout/backchannel",
    }
    return {**ours, "web": ours["web"].model_copy(update=places)}
