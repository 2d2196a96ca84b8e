"""Sockets for questions to name servers, closed at whatever step a question is cancelled.

dnspython's own are not: uvloop keeps a datagram endpoint whose making was cancelled, and ``asyncio.wait_for`` of Python
3.11 may swallow a cancellation (python/cpython#86296).
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dns.inet
from dns.asyncbackend import Backend, DatagramSocket, StreamSocket  # type: ignore[attr-defined]  # without an __all__
from dns.exception import Timeout

__all__ = ["Sockets"]


class Sockets(Backend):
    """What dnspython gets its sockets from."""

    def name(self) -> str:
        """See ``Backend``."""
        return "asyncio"

    def datagram_connection_required(self) -> bool:
        """Yes, because only a connected socket is told that nobody listens there."""
        return True

    async def make_socket(
        self,
        af: int,
        socktype: int,
        proto: int = 0,
        source: Any = None,  # noqa: ARG002  here and below, the signature is dnspython's
        destination: Any = None,
        timeout: float | None = None,
        ssl_context: Any = None,  # noqa: ARG002
        server_hostname: Any = None,  # noqa: ARG002
    ) -> "_Datagrams | _Stream":
        """One that is connected. Plain DNS needs neither a source nor TLS, and they are not looked at."""
        made = socket.socket(af, socktype, proto)
        made.setblocking(False)
        try:
            async with _within(timeout):
                there = dns.inet.low_level_address_tuple(destination, af)
                await asyncio.get_running_loop().sock_connect(made, there)
        except BaseException:
            made.close()
            raise
        return _Datagrams(made) if socktype == socket.SOCK_DGRAM else _Stream(made)

    async def sleep(self, interval: float) -> None:
        """See ``Backend``."""
        await asyncio.sleep(interval)


class _Datagrams(DatagramSocket):
    def __init__(self, made: socket.socket) -> None:
        super().__init__(made.family, made.type)
        self._socket = made

    async def sendto(self, what: bytes, destination: Any, timeout: float | None) -> int:  # noqa: ARG002
        await asyncio.get_running_loop().sock_sendall(self._socket, what)
        return len(what)

    async def recvfrom(self, size: int, timeout: float | None) -> tuple[bytes, Any]:
        async with _within(timeout):
            return await asyncio.get_running_loop().sock_recv(self._socket, size), self._socket.getpeername()

    async def close(self) -> None:
        self._socket.close()


class _Stream(StreamSocket):
    def __init__(self, made: socket.socket) -> None:
        super().__init__(made.family, made.type)
        self._socket = made

    async def sendall(self, what: bytes, timeout: float | None) -> None:
        async with _within(timeout):
            await asyncio.get_running_loop().sock_sendall(self._socket, what)

    async def recv(self, size: int, timeout: float | None) -> bytes:
        async with _within(timeout):
            return await asyncio.get_running_loop().sock_recv(self._socket, size)

    async def getpeername(self) -> Any:
        return self._socket.getpeername()

    async def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def _within(seconds: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Timeout from error
