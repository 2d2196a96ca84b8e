"""One connection of HTTP/1.1: a request goes out, its reply comes in, and then perhaps the next.

What a server says unasked is a protocol error. After any error the connection is closed, because nobody knows where the
next reply begins.
"""

import asyncio
import select
from collections.abc import AsyncIterable
from functools import partial
from math import inf
from typing import Any, Protocol, cast

from bff_core.errors import GatewayError, StaleConnection, TimedOut, TooLate, Unreachable
from bff_core.moments import Moments
from bff_core.wire.contract import Instance, Reply
from bff_core.wire.known_heads import KnownHeads
from bff_core.wire.promise import Promise
from bff_core.wire.reply_body import ReplyBody
from bff_core.wire.reply_reader import ReplyReader
from bff_core.wire.upload import Upload

__all__ = ["Connection", "Pool"]


class Pool(Protocol):
    """Where a connection goes between two exchanges."""

    def released(self, connection: "Connection") -> None:
        """It is free for the next exchange."""
        ...

    def lost(self, connection: "Connection") -> None:
        """It is gone."""
        ...

    def repeat(self, promise: Promise[Any], encoded: bytes, head_only: bool, max_body: int, until: float) -> None:
        """It was closed by the peer while it was idle, before this was seen: no failure of the call, and once."""
        ...


class Connection(ReplyReader, asyncio.Protocol):
    """Asks one thing at a time."""

    def __init__(
        self, instance: Instance, pool: Pool, loop: asyncio.AbstractEventLoop, heads: KnownHeads | None = None
    ) -> None:
        super().__init__(instance, heads or KnownHeads())
        self._pool = pool
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._promise: Promise[Any] | None = None
        self._upload: Upload | None = None
        self._repeatable: bytes = b""
        self._busy = self._answered = self._said_all = False
        self.closed = False
        self.reused = False
        self.serial = 0
        self._until = self._watched = inf
        self.idle_since = 0.0

    def ask(self, request: bytes, head_only: bool, max_body: int, *, repeatable: bool = False) -> Promise[Reply]:
        """Send ``request``; the promise of its whole reply. Giving up closes the connection, and nothing else."""
        self._stream = None
        self._repeatable = request if repeatable else b""
        return self._ask(request, head_only, max_body)

    def ask_for_stream(self, request: bytes, head_only: bool, max_body: int) -> Promise[ReplyBody]:
        """Send ``request``; the promise of its reply as soon as the head is there."""
        self._stream = ReplyBody(self)
        self._repeatable = b""
        return self._ask(request, head_only, max_body)

    def upload(self, body: AsyncIterable[bytes], length: int | None) -> None:
        """Send ``body`` behind the head that was just sent. Whoever waits for the reply hears what comes of it."""
        if self._busy:
            self._upload = Upload(self, body, length)

    def watch(self, moments: Moments, until: float) -> None:
        """See to it that what is promised, a whole reply or the head of one, is there by ``until``, or never."""
        self._until = until
        if until < self._watched:
            self._watched = until
            moments.at(until, partial(self._look, moments))

    def _look(self, moments: Moments) -> None:
        # one moment for many exchanges: most are over long before, and then there is another one to wait for
        now = self._loop.time()
        if now < self._watched:
            return  # an earlier one was asked for since, and has come
        self._watched = inf
        if self._promise is None:
            return
        if now >= self._until:
            self._fail(self._too_late("no reply in time"))
        else:
            self.watch(moments, self._until)

    def body_late(self, serial: int) -> None:
        """The body of exchange ``serial`` should be there by now."""
        if serial == self.serial and self._busy:
            self._fail(self._too_late("no whole reply in time"))

    def is_open(self) -> bool:
        """The peer has not closed it, as far as this machine has heard."""
        if self._transport is None or self.closed:
            return False
        sock = self._transport.get_extra_info("socket")
        if sock is None:  # TLS has ended, and we shall hear of it in the next turn of the loop
            return False
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN | select.POLLRDHUP)
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
        if self._upload is not None:
            self._stop_upload(self._upload)
        # these know us, the transport too where it is given up in the turn in which it was made: a cycle each
        self._promise = self._stream = self._parser = None
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def _ask(self, request: bytes, head_only: bool, max_body: int) -> Promise[Any]:
        self.serial += 1
        self._busy = True
        self._answered = False
        promise: Promise[Any] = Promise(self._loop, self.abort)
        self._promise = promise
        # here and not in a method of the reader, because it is done for every call
        self._parser, self._status, self._complete, self._error = None, 0, False, None
        self._head_only, self._max_body = head_only, max_body
        if self.closed:  # since it was connected or taken: nobody will say so again
            self._fail(Unreachable(self._instance.upstream, "closed before it was asked"))
        else:
            assert self._transport is not None
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
        if not self._answered:
            self._answered = True
            if self._stream is None and not self._head_only:
                reply = self._heads.reply(data, self._max_body)
                if reply is not None:
                    self._keep_alive = True
                    self._finish(reply)
                    return
        self._read(data)
        self._go_on()

    def eof_received(self) -> None:
        """The peer has said that it says no more: over TLS with ``close_notify``, which nobody else can say for it."""
        self._said_all = True

    def connection_lost(self, error: Exception | None) -> None:
        """There is none any more."""
        self.closed = True
        self._parser = None
        self._pool.lost(self)
        if not self._busy:
            return
        # an end that the peer did not announce may be an attacker's, who cuts a reply where it suits him
        if error is None and self._said_all and self._ends_with_connection():
            self._keep_alive = False
            self._complete = True
            self._end_of_body()
            self._go_on()
        elif self.reused and not self._answered:
            self._stale()
        else:
            self._fail(Unreachable(self._instance.upstream, f"{error or 'closed'} before the whole reply was there"))

    def pause_writing(self) -> None:
        """The peer takes no more for now."""
        if self._upload is not None:
            self._upload.pause()

    def resume_writing(self) -> None:
        """It does."""
        if self._upload is not None:
            self._upload.resume()

    # an upload calls these

    def write(self, data: bytes) -> None:
        """A piece of the request's body."""
        assert self._transport is not None
        self._transport.write(data)

    def uploaded(self) -> None:
        """The request is whole."""
        self._upload = None

    def upload_failed(self, error: Exception) -> None:
        """It never will be."""
        self._upload = None
        self._fail(error)

    def _stop_upload(self, upload: Upload) -> None:
        self._upload = None
        upload.stop()

    def _go_on(self) -> None:
        if self._error is not None:
            self._fail(self._error)
            return
        if self._stream is not None and self._promise is not None and self._status >= 200:
            promise, self._promise = self._promise, None
            self._stream.status, self._stream.headers = self._status, self._headers
            self._stream.decoding = self._decoding
            promise.keep(self._stream)
        if self._complete and self._busy:
            self._finish(None if self._stream is not None else self._whole())

    def _finish(self, reply: Reply | None) -> None:
        transport = self._transport
        assert transport is not None
        promise, stream, self._promise, self._stream = self._promise, self._stream, None, None
        if stream is not None:
            self.resume()  # whoever is next must not wait for whoever reads this one, or has left it unread
        self._busy = False
        self._repeatable = b""  # it may be long, and this may be idle for long
        if self._upload is not None or transport.get_write_buffer_size():
            self.abort()  # the peer has answered what it did not want to hear to the end, and may never read the rest
        elif self._keep_alive and not self.closed:
            self._pool.released(self)
        else:
            self.closed = True
            transport.close()
        if stream is not None:
            stream.end(None)
        elif promise is not None:
            promise.keep(reply)

    def _stale(self) -> None:
        promise = self._promise
        if promise is None or not self._repeatable:
            self._fail(StaleConnection(self._instance.upstream, "closed while it was idle"))
        else:
            self._promise, self._busy = None, False
            self._pool.repeat(promise, self._repeatable, self._head_only, self._max_body, self._until)

    def _fail(self, error: Exception) -> None:
        promise, stream, self._promise, self._stream = self._promise, self._stream, None, None
        self.abort()
        if promise is not None:
            promise.break_(error)
        elif stream is not None:
            stream.end(error)

    def _too_late(self, what: str) -> GatewayError:
        if self._upload is not None and self._upload.waits_for_source:
            return TooLate(f"{self._instance.upstream}: the body of the request did not come in time")
        return TimedOut(self._instance.upstream, what)
