"""One connection of a client: uvicorn's, with what a front door needs and uvicorn has not.

- A client that leaves ends the work done for it at once, without a task that waits for that.
- A head without end is refused while it is still being read; uvicorn would keep whatever comes.
- While the gateway drains, every reply says ``Connection: close``, so that clients open their next one elsewhere.
- Nonsense while a reply is under way closes the connection after it, and is never answered in its midst.
"""

import asyncio
from typing import Any, Final
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from bff_core.edge.departure import ENDS_WORK
from bff_core.edge.sizes import REFUSAL
from bff_core.errors import GatewayError, HeadersTooLarge, TargetTooLong
from bff_core.server.door import Door
from bff_core.server.exchange import Exchange

__all__ = ["ClientConnection"]

_EXTENSIONS: Final[dict[str, Any]] = {ENDS_WORK: {}}
_LINE: Final = 4  # bytes of a header line beside name and value: ": " and CRLF
_MALFORMED: Final = b'{"type":"/problems/invalid-request","title":"The request is malformed.","status":400}'
_BUSY: Final = b'{"type":"/problems/temporary-reduced-capacity","title":"Too many connections.","status":503}'


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
        self._running: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._head_bytes = 0
        self._refusal: GatewayError | None = None
        self._deaf = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's signature
        """A client is there."""
        super().connection_made(transport)
        if len(self.connections) > self._door.connections:
            self._deaf = True
            _answer(transport, b"503 Service Unavailable", _BUSY, b"retry-after: 1\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, and with it the reason for what is under way."""
        super().connection_lost(exc)
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            if self._task is not None:
                self._task.cancel("the client has left")

    def data_received(self, data: bytes) -> None:
        """The client says something."""
        if self._deaf:
            return
        super().data_received(data)
        if self._refusal is not None and not self._deaf:
            self._deaf = True  # nobody knows where another request would begin
            try:
                self.on_headers_complete()
            except httptools.HttpParserError:  # what there is of the target is none
                self.send_400_response("")

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's signature
        """Answer what is no HTTP, unless a reply is under way: then that one is the last."""
        self._deaf = True
        if self._running is None:
            _answer(self.transport, b"400 Bad Request", _MALFORMED)
        else:
            self._running.keep_alive = False
            self.pipeline.clear()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: a client must not write into our log by asking for an upgrade."""

    # httptools calls these

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A piece of its target."""
        self.url += url
        if len(self.url) > self._door.sizes.target:
            self._refuse(TargetTooLong(f"over {self._door.sizes.target} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of it."""
        limits = self._door.sizes
        self._head_bytes += len(name) + len(value) + _LINE
        if self._head_bytes > limits.header_block or len(self.headers) >= limits.headers:
            self._refuse(HeadersTooLarge(f"over {limits.headers} headers or {limits.header_block} bytes"))
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Its head is there, or as much of it as we take."""
        parser, scope = self.parser, self.scope
        version = parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
        if version != "1.1":
            scope["http_version"] = version
        _take_target(scope, self.url)
        scope["extensions"] = _EXTENSIONS if self._refusal is None else {**_EXTENSIONS, REFUSAL: {"why": self._refusal}}
        self.cycle = Exchange(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and parser.should_keep_alive() and self._refusal is None,
            on_response=self.on_response_complete,
        )
        if self._running is None:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        assert isinstance(cycle, Exchange)
        if self._door.draining:
            cycle.keep_alive = False
        self._running = cycle
        self._task = task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """A reply is whole."""
        self._running = self._task = None  # what the app does after its reply is its own affair
        super().on_response_complete()

    def shutdown(self) -> None:
        """Close when nothing is under way, else with the reply that is."""
        if self._running is None:
            self.transport.close()
        else:
            self._running.keep_alive = False

    def _refuse(self, why: GatewayError) -> None:
        if self._refusal is None:
            self._refusal = why


def _take_target(scope: Any, target: bytes) -> None:
    parts = httptools.parse_url(target)
    path = parts.path.decode("ascii")
    scope["path"] = unquote(path) if "%" in path else path
    scope["raw_path"] = parts.path
    scope["query_string"] = parts.query or b""


def _answer(transport: asyncio.Transport, status: bytes, problem: bytes, more: bytes = b"") -> None:
    head = b"HTTP/1.1 %s\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n"
    transport.write(head % (status, len(problem)) + more + b"\r\n" + problem)
    transport.close()
