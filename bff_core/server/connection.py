"""One connection of a client: uvicorn's, with what a front door needs and uvicorn has not.

- A client that leaves ends the work done for it at once, without a task that waits for that.
- A head without end is refused while it is still being read; uvicorn would keep whatever comes.
- Nonsense is answered like a request, in its turn, through the whole front door, and ends the connection.
- While the gateway drains, every reply says ``Connection: close``, so that clients open their next one elsewhere.
- Whoever asks for another protocol gets HTTP/1.1, and nothing of what it sends is lost.
"""

import asyncio
import logging
from contextvars import copy_context
from math import inf
from typing import Any, Final

import httptools
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from bff_core.edge.departure import ENDS_WORK
from bff_core.edge.health import HEALTH
from bff_core.edge.sizes import REFUSAL
from bff_core.errors import AtCapacity, GatewayError, HeadersTooLarge, MalformedRequest, TargetTooLong
from bff_core.server.door import Door
from bff_core.server.exchange import Exchange, ExchangeWithoutChunks
from bff_core.server.target import take_target

__all__ = ["ClientConnection"]

_log = logging.getLogger("bff.server")

_EXTENSIONS: Final[dict[str, Any]] = {ENDS_WORK: {}}
_ASGI: Final[Any] = {"version": "3.0", "spec_version": "2.4"}  # since 2.4 no reply needs a task that watches the client
_LINE: Final = 4  # bytes of a header line beside name and value: ": " and CRLF
_WAITING: Final = 16  # requests read ahead, before the client has to wait
_WAITING_AT_MOST: Final = 1000  # of those that came in one piece
_CLOCK_STEP: Final = 0.001  # seconds: a timer may fire a little before its moment
_LINGER: Final = 2  # seconds for a client to read why we have stopped listening to it
_BUSY: Final = b'{"type":"/problems/temporary-reduced-capacity","title":"Too many connections.","status":503}'
_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
    b"retry-after: 1\r\nconnection: close\r\n\r\n%s" % (len(_BUSY), _BUSY)
)


class ClientConnection(HttpToolsProtocol):
    """uvicorn makes one for each connection; ``door`` is what they share."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        door: Door,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._door = door
        self._surroundings = copy_context()
        self.cycle: Exchange  # the one whose body is read; None before the first
        self._running: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._in_head = False
        self._head_bytes = 0
        self._kept_by_parser = False  # what comes just now, until we are told of it
        self._dripped = 0
        self._deaf = False
        self._idle_since = inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's signature
        """A client is there."""
        super().connection_made(transport)
        if len(self.connections) > self._door.connections:
            self._deaf = True
            transport.write(_TOO_MANY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """The client is gone, and with it the reason for what is under way."""
        self.connections.discard(self)
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        if self._running is not None and self._task is not None:
            self.loop.call_soon(self._leave, self._running, self._task)  # not before it has begun, so that it is logged
        self._running = self._task = None
        self.parser = None  # type: ignore[assignment]  # or it and we are a cycle

    def _leave(self, running: Exchange, task: asyncio.Task[None]) -> None:
        if not task.done():
            running.leave()
            task.cancel("the client has left")

    def data_received(self, data: bytes) -> None:
        """The client says something."""
        if self._deaf:
            return
        self._idle_since = inf
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                continue
            except httptools.HttpParserError as error:
                self._stop_listening(_reason(error))
            else:
                if self._kept_by_parser:
                    self._count(len(data))
            return

    def drain(self) -> None:
        """Let the reply that is the last just now say that it is the last of all."""
        if self._running is not None:
            self._last().keep_alive = False

    def shutdown(self) -> None:
        """Close when nothing is under way, else with the last reply."""
        if self._running is None:
            self.transport.close()
            self.loop.call_later(_LINGER, self._abandon)
        else:
            self.drain()

    def _abandon(self) -> None:
        """Do not wait until a client that has all it asked for agrees to the end, as TLS would for 30 s."""
        if not self.transport.get_write_buffer_size():
            self.transport.abort()

    # httptools calls these

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope["asgi"] = _ASGI
        self._in_head = self._kept_by_parser = True
        self._head_bytes = self._dripped = 0

    def on_url(self, url: bytes) -> None:
        """A piece of its target."""
        self.url += url
        if len(self.url) > self._door.sizes.target:
            raise TargetTooLong(f"over {self._door.sizes.target} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of it, or one behind its body."""
        limits = self._door.sizes
        self._head_bytes += len(name) + len(value) + _LINE
        if self._head_bytes > limits.header_block or len(self.headers) >= limits.headers:
            raise HeadersTooLarge(f"over {limits.headers} headers or {limits.header_block} bytes")
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Its head is there."""
        parser, scope = self.parser, self.scope
        version = parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
        if parser.should_upgrade() and scope["method"] != "CONNECT":
            return  # it comes again, without
        take_target(scope, self.url)
        if len(self.tasks) >= self._door.in_flight and scope["path"] not in HEALTH:
            scope["extensions"] = {**_EXTENSIONS, REFUSAL: {"error": AtCapacity, "detail": "too much in flight"}}
        if version == "1.1":
            self._take(Exchange, keep_alive=parser.should_keep_alive())
        elif version == "1.0":
            scope["http_version"] = version
            self.expect_100_continue = False
            self._take(ExchangeWithoutChunks, keep_alive=False)
        else:
            raise MalformedRequest(f"HTTP/{version}")
        self.headers = []  # what comes behind the body is no part of the head

    def on_chunk_header(self) -> None:
        """A piece of its body, or the end with what comes behind."""
        self._kept_by_parser, self._dripped = True, 0

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        self._kept_by_parser = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        self._kept_by_parser = False
        if not self._in_head:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def _head_without_upgrade(self) -> bytes:
        """The head that came last, as it would be from someone content with HTTP/1.1."""
        request_line = (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"%s %s HTTP/%s\r\n%s\r\n" % (*request_line, b"".join(lines))

    def _count(self, size: int) -> None:
        """Refuse what has no end, because only the parser sees it before it has one."""
        if self._dripped > self._door.sizes.header_block:
            self._stop_listening(HeadersTooLarge(f"over {self._door.sizes.header_block} bytes"))
        self._dripped += size  # not what came with the beginning, of which it may be the least part

    def _stop_listening(self, why: GatewayError | None) -> None:
        """Take in nothing more: nobody knows where another request would begin."""
        self._deaf = True
        if why is None:
            self._last().be_last()
        elif self._in_head or not getattr(self.cycle, "more_body", False):
            self._refuse(why)
        elif self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.break_off()

    def _refuse(self, why: GatewayError) -> None:
        if not self._in_head:
            self.on_message_begin()
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii") if self.url else "-"
        scope["path"], scope["raw_path"], scope["query_string"] = self.url.decode("latin-1"), self.url, b""
        scope["extensions"] = {**_EXTENSIONS, REFUSAL: {"error": type(why), "detail": str(why)}}
        self.expect_100_continue = False
        self._take(Exchange, keep_alive=False)
        self.on_message_complete()
        self.cycle.be_last()

    def _take(self, kind: type[Exchange], *, keep_alive: bool) -> None:
        """Begin the exchange, or let it wait for its turn."""
        self._in_head = False
        self.scope.setdefault("extensions", _EXTENSIONS)
        self.cycle = kind(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        if self._running is None:
            self._start_asgi_task(self.cycle, self.app)
            return
        if len(self.pipeline) >= _WAITING_AT_MOST:
            raise _EnoughError
        if len(self.pipeline) >= _WAITING:
            self.flow.pause_reading()
        self.pipeline.appendleft((self.cycle, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        assert isinstance(cycle, Exchange)
        if self._door.draining and not self.pipeline:
            cycle.keep_alive = False
        self._running = cycle
        self._task = task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """A reply is whole. What the app does after it is its own affair."""
        self._running = self._task = None
        if self.pipeline and not self.transport.is_closing():
            exchange, _ = self.pipeline.pop()
            # not in what surrounds the reply that ends here: it may be another's
            self._surroundings.run(self._start_asgi_task, exchange, self.app)
            self.server_state.total_requests += 1
            return
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self._deaf:
            self._close_when_idle(_LINGER)
        elif self.timeout_keep_alive_task is None:
            self._close_when_idle(self.timeout_keep_alive)

    def _close_when_idle(self, seconds: float) -> None:
        """Close after so many seconds without a word; one timer for all of the connection's life."""
        now = self.loop.time()
        left = min(self._idle_since - now, 0.0) + seconds
        if left <= _CLOCK_STEP:
            self.transport.close()
        else:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(left, self._close_when_idle, seconds)

    def _last(self) -> Exchange:
        """The exchange after which there is none yet."""
        last = self.pipeline[0][0] if self.pipeline else self._running
        assert isinstance(last, Exchange)
        return last


class _EnoughError(Exception):
    """More requests wait for their turn than we keep."""


def _reason(error: httptools.HttpParserError) -> GatewayError | None:
    """Why the parser stopped; ``None`` where it is no fault of what it was given."""
    ours = error.__context__
    if isinstance(ours, GatewayError):
        return ours
    if isinstance(ours, _EnoughError):
        return None
    if isinstance(error, httptools.HttpParserCallbackError):
        _log.error("a bug in taking in a request", exc_info=error)
    return MalformedRequest(str(error))
