"""httpcore connections on which no read or write outlasts the exchange it belongs to.

httpcore's timeouts hold for one operation each, so a peer that sends a byte now and then is never late
(encode/httpx#1450). Here every operation gets what is left until the moment in ``exchange_until``.
"""

import asyncio
import ssl
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import httpcore

__all__ = ["PunctualBackend", "exchange_until"]

exchange_until: ContextVar[float] = ContextVar("exchange_until")
"""The moment at which the exchange run by this task is over."""


def _left() -> float:
    return max(0.0, exchange_until.get() - asyncio.get_running_loop().time())


class PunctualBackend(httpcore.AsyncNetworkBackend):
    """httpcore's own backend, punctual."""

    def __init__(self) -> None:
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect within what is left."""
        stream = await self._backend.connect_tcp(host, port, _left(), local_address, socket_options)
        return _PunctualStream(stream)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect within what is left."""
        return _PunctualStream(await self._backend.connect_unix_socket(path, _left(), socket_options))


class _PunctualStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return await self._stream.read(max_bytes, _left())

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        await self._stream.write(buffer, _left())

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        return _PunctualStream(await self._stream.start_tls(ssl_context, server_hostname, _left()))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
