"""One gateway and its operators' listener, served by uvicorn in one process."""

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic
from types import FrameType
from typing import Any, Final

import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.types import ASGIApp

from bff_core.edge.health import Readiness
from bff_core.server import collector
from bff_core.server.connection import ClientConnection
from bff_core.server.door import Door
from bff_core.settings import GatewaySettings, SizeLimits
from bff_core.telemetry import log
from bff_core.tls import server_context

__all__ = ["ListenerLost", "StartFailed", "begin_to_log", "operators_server", "serve"]

_log = logging.getLogger("bff.serve")
_FINISH_WITHIN: Final = 25  # seconds for what is in flight when we are told to stop
_KEEP_ALIVE: Final = 75  # seconds that a connection may be idle
_OPERATORS: Final = 100  # connections


class ListenerLost(Exception):
    """The operators' server ended while the gateway ran."""


class StartFailed(Exception):
    """An app failed while it started; the log says how."""


def serve(app: FastAPI, settings: GatewaySettings, front: socket.socket, back: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT: clients at ``front``, operators at ``back``. Both are closed afterwards.

    SIGTERM drains first: unready at once, and for ``settings.drain`` seconds every reply asks its client to go
    elsewhere. Raises ``StartFailed``, or ``ListenerLost`` when everything in flight was answered.
    """
    begin_to_log()
    context = server_context(settings.tls) if settings.tls else None
    door = Door(settings.sizes, settings.connections, settings.in_flight)
    main = _Gateway(app, door, context, app.state.readiness, settings.drain)
    admin = operators_server(app.state.admin)
    with (
        main.told_to_stop(),  # before anyone can connect, because a start can be ended too
        front,
        back,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        _log.info("%s listens on %s, for operators on %s", settings.name, settings.listen, settings.admin)
        runner.run(_both(main, front, admin, back))


def begin_to_log() -> None:
    """Send what is logged to standard output, and of uvicorn's only warnings: two servers say everything twice."""
    log.to_standard_output()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def operators_server(app: ASGIApp) -> uvicorn.Server:
    """What answers operators; ``serve`` runs it until its ``should_exit`` is set."""
    return _Server(app, Door(SizeLimits(), _OPERATORS, _OPERATORS))


class _Server(uvicorn.Server):
    """Leaves the signals to who started it: two servers share them, and none is raised again at the end."""

    def __init__(self, app: ASGIApp, door: Door, context: ssl.SSLContext | None = None) -> None:
        config = uvicorn.Config(
            app,
            http=partial(ClientConnection, door=door),  # type: ignore[arg-type]  # whatever makes a protocol
            ws="none",
            log_config=None,
            access_log=False,  # ours says more, and escapes it
            server_header=False,
            proxy_headers=False,  # whom to believe is for the front door to decide
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=_FINISH_WITHIN,
            ssl_context_factory=(lambda *_: context) if context else None,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit as error:  # uvicorn's word for it
            raise StartFailed("the app failed while it started; the log says how") from error

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Gateway(_Server):
    """The clients' server: it drains before it ends."""

    def __init__(
        self, app: ASGIApp, door: Door, context: ssl.SSLContext | None, readiness: Readiness, drain: float
    ) -> None:
        super().__init__(app, door, context)
        self._door, self._readiness, self._drain = door, readiness, drain
        self._ends_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        collector.tune()  # now that all is made that stays

    async def on_tick(self, counter: int) -> bool:
        if self._ends_at is not None and monotonic() >= self._ends_at:
            self.should_exit = True
        return await super().on_tick(counter)

    @contextmanager
    def told_to_stop(self) -> Iterator[None]:
        """While this lasts, SIGTERM drains, SIGINT ends, and a second signal does not wait for the first."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        again = self._door.draining
        self._readiness.ready = False  # at once, because whoever routes to us should know before the last reply is sent
        self._door.draining = True
        for connection in self.server_state.connections:
            if isinstance(connection, ClientConnection):
                connection.drain()
        if number == signal.SIGTERM and self.started and not again:
            self._ends_at = monotonic() + self._drain
        else:
            self.handle_exit(number, frame)


async def _both(main: uvicorn.Server, front: socket.socket, admin: uvicorn.Server, back: socket.socket) -> None:
    """Both servers, until ``main`` is told to end; ``admin`` lives longer, and ``main`` never lives without it."""

    def end(_: asyncio.Task[Any]) -> None:
        main.should_exit = True

    operators = asyncio.create_task(admin.serve(sockets=[back]))
    operators.add_done_callback(end)
    try:
        await main.serve(sockets=[front])
        lost = operators.done()
    finally:
        admin.should_exit = True
        await asyncio.wait([operators])
    error = operators.exception()
    if lost or error:
        raise ListenerLost(f"the operators' server ended by itself{f': {error}' if error else ''}") from error
