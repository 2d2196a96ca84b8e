"""A made-up gateway of one service, and a client that speaks ASGI to it as a server would, message by message."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Self

import httpx
from fastapi import APIRouter, Depends, FastAPI, Request

from bff_core.gateway import gateway
from bff_core.services.catalog import Catalog
from bff_core.settings import GatewaySettings
from bff_core.testing import SimulatedInternet

__all__ = ["HOST", "Clients", "Store", "Visit", "browser", "settings", "small_gateway"]

HOST = (b"host", b"gateway.test")


@dataclass(frozen=True, slots=True)
class Clients:
    catalog: Catalog


async def _clients(request: Request) -> Clients:
    return request.app.state.store


Store = Annotated[Clients, Depends(_clients)]


def settings(**changed: Any) -> GatewaySettings:
    return GatewaySettings(
        **{
            "name": "small",
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.2:0",
            "deadline": "2s",
            "hosts": ["gateway.test", "[::1]"],
            "upstreams": {"catalog": {"instances": ["http://catalog.test"]}},
            **changed,
        }
    )


def small_gateway(router: APIRouter, internet: SimulatedInternet | None = None, **changed: Any) -> FastAPI:
    return gateway(settings(**changed), Clients, [router], wire=internet or SimulatedInternet())


def browser(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test")


class Visit:
    """One request, and what is answered to it. Like a server it says "disconnect" of a reply that is whole."""

    def __init__(
        self,
        app: FastAPI,
        target: str = "/",
        *,
        method: str = "GET",
        headers: Iterable[tuple[bytes, bytes]] = (HOST,),
        body: Iterable[bytes] = (b"",),
        root_path: str = "",
    ) -> None:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": root_path,
            "headers": list(headers),
            "client": ("192.0.2.1", 4711),
            "server": ("127.0.0.1", 8000),
        }
        self.received = 0
        """Messages that were taken from the client."""
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.whole = False
        self._chunks = deque(body)
        self._gone = asyncio.Event()
        self.work = asyncio.get_running_loop().create_task(app(scope, self._receive, self._send))

    async def end(self) -> Self:
        """Wait until the app is done; raises what it raised."""
        await self.work
        return self

    def leave(self) -> None:
        """The client closes the connection."""
        self._gone.set()

    def values(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.headers if found == name]

    async def _receive(self) -> dict[str, Any]:
        if self._chunks:
            self.received += 1
            chunk = self._chunks.popleft()
            return {"type": "http.request", "body": chunk, "more_body": bool(self._chunks)}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        assert not self.whole, "more was said after the end"
        if message["type"] == "http.response.start":
            assert self.status is None, "a second head"
            self.status, self.headers = message["status"], list(message["headers"])
            return
        assert self.status is not None, "a body without a head"
        self.body += message.get("body", b"")
        self.whole = not message.get("more_body", False)
        if self.whole:
            self._gone.set()
