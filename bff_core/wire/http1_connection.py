"""One connection of HTTP/1.1: a request goes out, its reply comes in, and then perhaps the next.

httptools (llhttp) parses, strictly: both ``Content-Length`` and ``Transfer-Encoding``, doubled or malformed lengths,
obs-fold, bare CR or LF, NUL, white space before the colon are protocol errors. What a server says beyond its one reply,
or unasked, is one too. After any error the connection is closed, because nobody knows where the next reply begins.
"""

import asyncio
import select
from typing import Any, Final, Protocol, cast

import httptools

from bff_core.errors import BadReply, StaleConnection, TimedOut, Unreachable, UpstreamError
from bff_core.wire.coding import Decoding, without_codings
from bff_core.wire.contract import MAX_HEADER_BLOCK, MAX_HEADERS, Instance, Reply
from bff_core.wire.promise import Promise
from bff_core.wire.reply_body import ReplyBody

__all__ = ["Connection", "Pool"]

_MAX_INFORMATIONAL: Final = 8


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

    def __init__(self, instance: Instance, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self._instance = instance
        self._pool = pool
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._promise: Promise[Any] | None = None
        self._stream: ReplyBody | None = None
        self._busy = self._said_all = False
        self.closed = False
        self.reused = False
        self.serial = 0
        self.idle_since = 0.0

    def ask(self, request: bytes, head_only: bool, max_body: int) -> Promise[Reply]:
        """Send ``request``; the promise of its whole reply. Giving up closes the connection, and nothing else."""
        self._stream = None
        return self._ask(request, head_only, max_body)

    def ask_for_stream(self, request: bytes, head_only: bool, max_body: int) -> Promise[ReplyBody]:
        """Send ``request``; the promise of its reply as soon as the head is there."""
        self._stream = ReplyBody(self)
        return self._ask(request, head_only, max_body)

    def late(self, serial: int) -> None:
        """What was promised in exchange ``serial``, a whole reply or the head of one, should be there by now."""
        if serial == self.serial and self._promise is not None:
            self._fail(TimedOut(self._instance.upstream, "no reply in time"))

    def body_late(self, serial: int) -> None:
        """The body of exchange ``serial`` should be there by now."""
        if serial == self.serial and self._busy:
            self._fail(TimedOut(self._instance.upstream, "no whole reply in time"))

    def is_open(self) -> bool:
        """The peer has not closed it, as far as this machine has heard."""
        if self._transport is None or self.closed:
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)
        return not poll.poll(0)

    def pause(self) -> None:
        """Read no more for now."""
        if self._transport is not None and not self.closed:
            if self._transport.get_extra_info("sslcontext") is not None:
                # or uvloop goes on to take what it cannot pass on, and drops it all when the peer closes
                cast("Any", self._transport).set_read_buffer_limits(high=1)
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self.closed, self._busy = True, False
        self._pool.lost(self)  # now, and not when the transport says so: somebody may wait for the room
        if self._transport is not None:
            self._transport.abort()

    def _ask(self, request: bytes, head_only: bool, max_body: int) -> Promise[Any]:
        assert self._transport is not None
        self.serial += 1
        self._busy = True
        self._promise = promise = Promise[Any](self._loop, self.abort)
        self._parser = httptools.HttpResponseParser(self)
        self._head_only = head_only
        self._max_body = max_body
        self._answered = self._complete = False
        self._error: UpstreamError | None = None
        self._informational = self._head_bytes = 0
        self._begin()
        if self.closed:  # since it was connected or taken: nobody will say so again
            self._fail(Unreachable(self._instance.upstream, "closed before it was asked"))
        else:
            self._transport.write(request)
        return promise

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a connection."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """The peer says something."""
        if not self._busy:
            self.abort()  # nobody asked
            return
        self._answered = True
        if not self._status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(BadReply(self._instance.upstream, "switches to a protocol nobody asked for"))
        except httptools.HttpParserError as error:
            self._fail(self._error or BadReply(self._instance.upstream, f"no HTTP: {error}"))
        else:
            self._go_on()

    def eof_received(self) -> None:
        """The peer has said that it says no more: over TLS with ``close_notify``, which nobody else can say for it."""
        self._said_all = True

    def connection_lost(self, error: Exception | None) -> None:
        """There is none any more."""
        self.closed = True
        self._pool.lost(self)
        if not self._busy:
            return
        if error is None and self._ends_with_connection():
            self._keep_alive = False
            self._complete = True
            self._go_on()
        elif self.reused and not self._answered:
            self._fail(StaleConnection(self._instance.upstream, "closed while it was idle"))
        else:
            self._fail(Unreachable(self._instance.upstream, f"{error or 'closed'} before the whole reply was there"))

    def _go_on(self) -> None:
        if not self._status and self._head_bytes > MAX_HEADER_BLOCK:
            self._wrong("a head without end")
        if self._complete and self._decoding is not None and self._stream is None:
            self._end_coded(self._decoding)
        if self._error is not None:
            self._fail(self._error)
            return
        if self._stream is not None and self._promise is not None and self._status >= 200:
            promise, self._promise = self._promise, None
            self._stream.status, self._stream.headers = self._status, self._headers
            self._stream.decoding = self._decoding
            promise.keep(self._stream)
        if self._complete and self._busy:
            self._finish()

    # httptools calls these

    def on_message_begin(self) -> None:
        """A reply begins."""
        if self._complete:
            self._wrong("more than one reply")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of it."""
        self._header_bytes += len(name) + len(value)
        if len(self._headers) >= MAX_HEADERS or self._header_bytes > MAX_HEADER_BLOCK:
            self._wrong("too many headers")
            return
        name = name.lower()
        if name == b"content-length":
            self._length_known = True
        elif name == b"transfer-encoding":
            self._chunked = True
            if value.strip().lower() != b"chunked":
                self._wrong(f"transfer coding {value!r}")
        elif name == b"content-encoding":
            self._coded = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Its head is there."""
        self._status = self._parser.get_status_code()
        self._keep_alive = self._parser.should_keep_alive()
        if not 100 <= self._status <= 599 or self._status == 101:
            self._wrong(f"status {self._status}")
        elif self._head_only and self._status >= 200:
            self._complete = True
        if self._coded:
            self._expect_coded()

    def on_body(self, chunk: bytes) -> None:
        """A piece of its body."""
        if self._complete:
            self._wrong("a body where there is none")
        elif self._decoding is not None:
            self._take_coded(chunk, self._decoding)
        else:
            self._size += len(chunk)
            if self._size > self._max_body:
                self._wrong(f"body over {self._max_body} bytes")
            else:
                (self._body if self._stream is None else self._stream).append(chunk)

    def on_message_complete(self) -> None:
        """It is whole."""
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
        self._coded = False
        self._decoding: Decoding | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._length_known = self._chunked = self._keep_alive = False

    def _expect_coded(self) -> None:
        try:
            self._headers, self._decoding = without_codings(self._instance.upstream, self._headers, self._max_body)
        except BadReply as error:
            self._error = self._error or error

    def _take_coded(self, chunk: bytes, decoding: Decoding) -> None:
        if self._stream is not None:  # which decodes when it is read
            self._stream.append(chunk)
        elif self._error is None:
            try:
                self._body.extend(decoding.feed(chunk))
            except BadReply as error:
                self._error = error

    def _end_coded(self, decoding: Decoding) -> None:
        if self._error is None:
            try:
                decoding.end()
            except BadReply as error:
                self._error = error

    def _wrong(self, what: str) -> None:
        # told apart from what the parser finds, because a callback that raises loses its message
        if self._error is None:
            self._error = BadReply(self._instance.upstream, what)

    def _ends_with_connection(self) -> bool:
        # an end that the peer did not announce may be an attacker's, who cuts a reply where it suits him
        return self._said_all and self._status >= 200 and not (self._length_known or self._chunked or self._error)

    def _finish(self) -> None:
        assert self._transport is not None
        self._busy = False
        if self._keep_alive and not self.closed and not self._transport.get_write_buffer_size():
            self.reused = True
            self._pool.released(self)
        else:
            self.closed = True
            self._transport.close()
        promise, stream, self._promise, self._stream = self._promise, self._stream, None, None
        if stream is not None:
            stream.end(None)
        elif promise is not None:
            body = self._body
            promise.keep(Reply(self._status, self._headers, body[0] if len(body) == 1 else b"".join(body)))

    def _fail(self, error: UpstreamError) -> None:
        promise, stream, self._promise, self._stream = self._promise, self._stream, None, None
        self.abort()
        if promise is not None:
            promise.break_(error)
        elif stream is not None:
            stream.end(error)
