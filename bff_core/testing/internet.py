"""A network of host names in one process: upstreams are small ASGI apps, and an unknown host refuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextvars import Context
from typing import Any
from urllib.parse import unquote

from bff_core.errors import BadReply, TimedOut, Unreachable
from bff_core.wire import Instance, Reply, ReplyStream, Request
from bff_core.wire.promise import errand

__all__ = ["ASGIApp", "SimulatedInternet"]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class SimulatedInternet:
    """A ``Wire`` to ASGI apps by host name. ``hosts`` may change at any time; ``requests`` lists what was sent.

    Each call runs in a fresh ``contextvars.Context``, or the gateway's context would leak into the fake upstream and
    a test would pass for the wrong reason. An app that raises has broken the connection.
    """

    def __init__(self, hosts: dict[str, ASGIApp] | None = None) -> None:
        self.hosts = hosts or {}
        self.requests: list[tuple[Instance, Request]] = []
        self.in_flight = 0

    async def send(self, instance: Instance, request: Request, *, until: float, max_body: int) -> Reply:
        """See ``Wire.send``."""
        return await errand(self._send(instance, request, until, max_body))

    async def _send(self, instance: Instance, request: Request, until: float, max_body: int) -> Reply:
        self.requests.append((instance, request))
        if instance.host not in self.hosts:
            raise Unreachable(instance.upstream, "connection refused")
        exchange = _Exchange(instance, request)
        loop = asyncio.get_running_loop()
        task = loop.create_task(exchange.run(self.hosts[instance.host]), context=Context())
        self.in_flight += 1
        try:
            async with asyncio.timeout_at(until):
                await task
        except TimeoutError:
            raise TimedOut(instance.upstream, "no whole reply in time") from None
        finally:
            task.cancel()
            self.in_flight -= 1
        return exchange.reply(max_body)

    async def stream(
        self,
        instance: Instance,
        request: Request,
        *,
        until: float,
        body_until: float | None = None,  # noqa: ARG002  the whole reply comes with its head
        max_body: int,
    ) -> ReplyStream:
        """See ``Wire.stream``; the body comes in one piece."""
        return _WholeStream(await self.send(instance, request, until=until, max_body=max_body))

    def connections(self, instance: Instance) -> None:
        """See ``Wire.connections``."""

    def retire(self, instance: Instance) -> None:
        """See ``Wire.retire``; nothing is kept open."""

    async def close(self) -> None:
        """Nothing is kept open."""


class _Exchange:
    def __init__(self, instance: Instance, request: Request) -> None:
        self._instance = instance
        self._request = request
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._whole = False
        self._sent = False

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope(), self._receive, self._send)
        except Exception as error:
            raise Unreachable(self._instance.upstream, f"connection broken: {error!r}") from error

    def reply(self, max_body: int) -> Reply:
        if not self._whole:
            raise Unreachable(self._instance.upstream, "connection closed before the whole reply was there")
        if len(self._body) > max_body:
            raise BadReply(self._instance.upstream, f"body over {max_body} bytes")
        return Reply(self._status, self._headers, self._body)

    def _scope(self) -> dict[str, Any]:
        path, _, query = self._request.target.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self._request.method,
            "scheme": self._instance.scheme,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", self._instance.called.encode()), *self._request.headers],
            "client": ("127.0.0.1", 1),
            "server": (self._instance.host, self._instance.port),
        }

    async def _receive(self) -> dict[str, Any]:
        if self._sent:  # the caller stays until it is cancelled
            await asyncio.get_running_loop().create_future()
        self._sent = True
        body = self._request.body
        if not isinstance(body, bytes):
            body = b"".join([piece async for piece in body])
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [(name.lower(), value) for name, value in message["headers"]]
        else:
            self._body += message.get("body", b"")
            self._whole = not message.get("more_body", False)


class _WholeStream:
    def __init__(self, reply: Reply) -> None:
        self.status, self.headers, self._body = reply.status, reply.headers, reply.body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body

    async def close(self) -> None:
        """Nothing to let go of."""
