"""One connection of HTTP/1.1: a request goes out, its reply comes in, and then perhaps the next.

httptools (llhttp) parses, strictly: both ``Content-Length`` and ``Transfer-Encoding``, doubled or malformed lengths,
obs-fold, bare CR or LF, NUL, white space before the colon are protocol errors. What a server says beyond its one reply,
or unasked, is one too. After any error the connection is closed, because nobody knows where the next reply begins.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

import httptools

from bff_core.errors import BadReply, StaleConnection, TimedOut, Unreachable, UpstreamError
from bff_core.wire.contract import Instance, Reply
from bff_core.wire.promise import Promise

__all__ = ["Connection", "Pool"]

_MAX_HEADERS: Final = 100
_MAX_HEADER_BLOCK: Final = 32 * 1024  # bytes
_MAX_INFORMATIONAL: Final = 8
_WITHOUT_BODY: Final = frozenset({204, 304})


class Pool(Protocol):
    """Where a connection goes between two exchanges."""

    def released(self, connection: "Connection") -> None:
        """It is free for the next exchange."""
        ...

    def lost(self, connection: "Connection") -> None:
        """It is gone."""
        ...


class Connection(asyncio.Protocol):
    """Asks one thing at a time."""

    __slots__ = (
        "_answered", "_body", "_chunked", "_complete", "_error", "_head_only", "_headers", "_header_bytes", "_informational",
        "_instance", "_keep_alive", "_length_known", "_loop", "_max_body", "_parser", "_pool", "_promise", "_size", "_status",
        "_transport", "closed", "idle_since", "reused", "serial",
    )  # fmt: skip

    def __init__(self, instance: Instance, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self._instance = instance
        self._pool = pool
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._promise: Promise[Reply] | None = None
        self._error: UpstreamError | None = None
        self.closed = False
        self.reused = False
        self.serial = 0
        self.idle_since = 0.0

    def ask(self, request: bytes, *, head_only: bool, max_body: int) -> Promise[Reply]:
        """Send ``request``; the promise of its whole reply. Giving up closes the connection, and nothing else."""
        assert self._transport is not None  # noqa: S101  it was made
        self.serial += 1
        self._promise = promise = Promise[Reply](self._loop, self.abort)
        self._parser = httptools.HttpResponseParser(self)
        self._head_only = head_only
        self._max_body = max_body
        self._answered = self._complete = False
        self._error = None
        self._informational = 0
        self._begin()
        self._transport.write(request)
        return promise

    def late(self, serial: int) -> None:
        """The moment of exchange ``serial`` has come."""
        if serial == self.serial and self._promise is not None:
            self._fail(TimedOut(self._instance.upstream, "no whole reply in time"))

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self.closed = True
        self._promise = None
        if self._transport is not None:
            self._transport.abort()

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._promise is None:
            self.abort()  # nobody asked
            return
        self._answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(BadReply(self._instance.upstream, "switches to a protocol nobody asked for"))
        except httptools.HttpParserError as error:
            self._fail(self._error or BadReply(self._instance.upstream, f"no HTTP: {error}"))
        else:
            if self._error is not None:
                self._fail(self._error)
            elif self._complete:
                self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._pool.lost(self)
        if self._promise is None:
            return
        if error is None and self._ends_with_connection():
            self._keep_alive = False
            self._finish()
        elif self.reused and not self._answered:
            self._fail(StaleConnection(self._instance.upstream, "closed while it was idle"))
        else:
            self._fail(Unreachable(self._instance.upstream, f"connection ended before the whole reply: {error or 'closed'}"))

    # httptools calls these

    def on_message_begin(self) -> None:
        if self._complete:
            self._wrong("more than one reply")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if len(self._headers) >= _MAX_HEADERS or self._header_bytes > _MAX_HEADER_BLOCK:
            self._wrong("too many headers")
            return
        name = name.lower()
        if name == b"content-length":
            self._length_known = True
        elif name == b"transfer-encoding":
            self._chunked = True
            if value.strip().lower() != b"chunked":
                self._wrong(f"transfer coding {value!r}")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        self._keep_alive = self._parser.should_keep_alive()
        if not 100 <= self._status <= 599 or self._status == 101:
            self._wrong(f"status {self._status}")
        elif self._head_only and self._status >= 200:
            self._complete = True

    def on_body(self, chunk: bytes) -> None:
        if self._complete:
            self._wrong("a body where there is none")
            return
        self._size += len(chunk)
        if self._size > self._max_body:
            self._wrong(f"body over {self._max_body} bytes")
        else:
            self._body.append(chunk)

    def on_message_complete(self) -> None:
        if self._status >= 200:
            self._complete = True
            return
        self._informational += 1
        if self._informational > _MAX_INFORMATIONAL:
            self._wrong("too many interim replies")
        self._begin()

    def _begin(self) -> None:
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._size = 0
        self._length_known = self._chunked = self._keep_alive = False

    def _wrong(self, what: str) -> None:
        # told apart from what the parser finds, because a callback that raises loses its message
        if self._error is None:
            self._error = BadReply(self._instance.upstream, what)

    def _ends_with_connection(self) -> bool:
        return self._status >= 200 and not (self._length_known or self._chunked or self._error)

    def _finish(self) -> None:
        promise, self._promise = self._promise, None
        assert promise is not None  # noqa: S101
        assert self._transport is not None  # noqa: S101
        body = self._body
        reply = Reply(self._status, self._headers, body[0] if len(body) == 1 else b"".join(body))
        if self._keep_alive and not self.closed and not self._transport.get_write_buffer_size():
            self.reused = True
            self._pool.released(self)
        else:
            self.closed = True
            self._transport.close()
        promise.keep(reply)

    def _fail(self, error: UpstreamError) -> None:
        promise = self._promise
        self.abort()
        if promise is not None:
            promise.break_(error)
