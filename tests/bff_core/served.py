"""A gateway behind a real socket, served as ``bff run`` serves it, and clients that say exactly what a test wrote."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from uvicorn.server import ServerState

from bff_core.server.connection import ClientConnection
from bff_core.server.door import Door
from bff_core.server.process import _Server
from bff_core.settings import SizeLimits

__all__ = ["Client", "Reply", "Served", "get", "logged"]

PATIENCE = 10  # seconds that a test waits for what should come at once


def get(path: str = "/", *lines: str, method: str = "GET", host: str = "gateway.test") -> bytes:
    """A request without a body; ``lines`` are further headers."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"host: {host}", *lines, "", ""]).encode("latin-1")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.headers if found == name]

    @property
    def closes(self) -> bool:
        return b"close" in self.values(b"connection")


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, data: bytes) -> Self:
        self._writer.write(data)
        await self._writer.drain()
        return self

    async def head(self) -> tuple[int, tuple[tuple[bytes, bytes], ...]]:
        """Status and headers of the next reply."""
        async with asyncio.timeout(PATIENCE):
            text = await self._reader.readuntil(b"\r\n\r\n")
        first, *lines = text.removesuffix(b"\r\n\r\n").split(b"\r\n")
        pairs = (line.split(b": ", 1) for line in lines)
        assert first.startswith(b"HTTP/1.1 "), first
        return int(first.split()[1]), tuple((name.lower(), value) for name, value in pairs)

    async def reply(self, *, to_head: bool = False) -> Reply:
        """The next whole reply."""
        status, headers = await self.head()
        async with asyncio.timeout(PATIENCE):
            body = b"" if to_head or status in {100, 204, 304} else await self._body(dict(headers))
        return Reply(status, headers, body)

    async def _body(self, headers: dict[bytes, bytes]) -> bytes:
        if b"content-length" in headers:
            return await self._reader.readexactly(int(headers[b"content-length"]))
        if headers.get(b"transfer-encoding") != b"chunked":
            return await self._reader.read()
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()
        return body

    async def rest(self) -> bytes:
        """Everything until the end of the connection."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.read()

    def leave(self) -> None:
        """Close, without waiting for anything."""
        self._writer.close()

    def vanish(self) -> None:
        """Break the connection."""
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the connection is closed on this side too."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


class Served:
    """An app behind a socket. ``connections``: the protocols that are open."""

    def __init__(self, app: Any, *, connections: int = 100, tls: ssl.SSLContext | None = None) -> None:
        self.door = Door(SizeLimits(), connections, 1000)
        self._tls = tls
        self._config = _Server(app, self.door).config
        self._config.load()
        self.state = ServerState()
        self._clients: list[Client] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for client in self._clients:
            await client.gone()
        await self.empty()
        await self._server.wait_closed()

    def _accept(self) -> ClientConnection:
        return ClientConnection(self._config, self.state, {}, door=self.door)

    async def client(self, **how: Any) -> Client:
        self._clients.append(Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=2**20, **how)))
        return self._clients[-1]

    async def ask(self, data: bytes) -> Client:
        return await (await self.client()).say(data)

    async def empty(self) -> None:
        """Wait until no connection and no request is left."""
        async with asyncio.timeout(PATIENCE):
            while self.state.connections or self.state.tasks:
                await asyncio.sleep(0.001)


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[logging.LogRecord] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.queue.put_nowait(record)


@asynccontextmanager
async def logged(name: str = "bff.access") -> AsyncIterator[asyncio.Queue[Any]]:
    """The lines of a logger, as they come."""
    logger, handler = logging.getLogger(name), _Records()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler.queue
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
