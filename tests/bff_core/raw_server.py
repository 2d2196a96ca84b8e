"""A server that says exactly what a test wrote for it, HTTP or not, and a wire to it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Self, TypeVar

from bff_core.wire import Instance, Wire
from bff_core.wire.http1 import Http1Wire
from bff_core.wire.httpx import HttpxWire
from bff_core.wire.terms import Terms

__all__ = ["RawServer", "Script", "after", "open_wire", "said", "started", "unused_port"]

T = TypeVar("T")

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What happens on one connection; it ends with the script."""


def said(body: bytes, *, status: bytes = b"200 OK", headers: bytes = b"") -> bytes:
    """A well-formed reply; ``headers`` are whole lines."""
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n%s\r\n%s" % (status, len(body), headers, body)


class RawServer:
    """Bytes are the reply to the first request of every connection, which then ends; a ``Script`` gets the connection.

    With ``keeps_alive`` the bytes are the reply to every request. ``host`` is an address, or the path of a socket.
    """

    def __init__(
        self,
        script: bytes | Script,
        *,
        keeps_alive: bool = False,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.script = script
        self._keeps_alive = keeps_alive
        self._tls = tls
        self._host = host
        self._connections: set[asyncio.Task[None]] = set()
        self.heads: list[bytes] = []
        """Every request head that was read for a script of bytes."""
        self.accepted = 0

    @property
    def open(self) -> int:
        """Connections whose script has not ended."""
        return len(self._connections)

    async def __aenter__(self) -> Self:
        if self._host.startswith("/"):
            self._server = await asyncio.start_unix_server(self._accept, self._host)
            self.instance = Instance("shop", "unix", self._host, 0)
            return self
        self._server = await asyncio.start_server(self._accept, self._host, 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.instance = Instance("shop", "https" if self._tls else "http", self._host, port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        connection = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):  # the other side left, as it may
                await self._play(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if callable(self.script):
            await self.script(reader, writer)
            return
        while True:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.script)
            await writer.drain()
            if not self._keeps_alive:
                return


async def unused_port() -> int:
    """A port at which nothing listens."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


WIRES: dict[str, Callable[..., Wire]] = {"httpx": HttpxWire, "http1": Http1Wire}


class Conforming:
    """The wire that the conformance tests run on just now."""

    kind = "httpx"


@asynccontextmanager
async def open_wire(connections: int = 10, terms: Terms | None = None) -> AsyncIterator[Wire]:
    """A wire that is closed at the end, which waits until every exchange has ended."""
    wire = WIRES[Conforming.kind](connections=connections, terms={"shop": terms} if terms else {})
    try:
        yield wire
    finally:
        async with asyncio.timeout(10):
            await wire.close()


def after(seconds: float) -> float:
    """The moment that is so far away."""
    return asyncio.get_running_loop().time() + seconds


def started(sending: Awaitable[T]) -> asyncio.Task[T]:
    """A task that waits for what a wire gave."""

    async def wait() -> T:
        return await sending

    return asyncio.create_task(wait())
