"""One gateway and its operators' listener, served by uvicorn in one process."""

import asyncio
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
import uvloop
from starlette.types import ASGIApp

from bff_core.cli.found import FoundGateway
from bff_core.edge.health import Readiness
from bff_core.settings import GatewaySettings
from bff_core.telemetry import log

__all__ = ["ListenerLost", "PortTaken", "bind", "serve"]

_log = logging.getLogger("bff.serve")
_FINISH_WITHIN = 25  # seconds for what is in flight when we are told to stop
_BACKLOG = 2048  # connections that may wait to be accepted


class PortTaken(Exception):
    """We cannot listen where we should; most likely someone else does."""


class ListenerLost(Exception):
    """The operators' server ended while the gateway ran."""


def serve(found: FoundGateway, settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises ``PortTaken`` before anything is answered, and ``ListenerLost`` when everything in flight was.
    """
    log.to_standard_output()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # two servers would say everything twice
    app = found.create(settings)
    main, admin = _Server(_config(app)), _Server(_config(app.state.admin))
    with (
        _told_to_stop(main, app.state.readiness),  # before anyone can connect, because a start can be ended too
        bind(settings.listen) as front,
        bind(settings.admin) as back,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        _log.info("%s listens on %s, for operators on %s", settings.name, settings.listen, settings.admin)
        runner.run(_both(main, front, admin, back))


def bind(address: str) -> socket.socket:
    """A socket that listens on ``host:port``; ``PortTaken`` where it cannot."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, int(port)))
        sock.listen(_BACKLOG)  # here, because SO_REUSEADDR lets two bind one port, and uvloop keeps quiet about it
    except (OSError, TypeError) as error:  # TypeError: no name of a host at all
        sock.close()
        raise PortTaken(f"cannot listen on {address}: {getattr(error, 'strerror', None) or error}") from error
    return sock


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        log_config=None,
        access_log=False,  # ours says more, and escapes it
        backlog=_BACKLOG,
        server_header=False,
        proxy_headers=False,  # whom to believe is for the front door to decide
        timeout_graceful_shutdown=_FINISH_WITHIN,
    )


async def _both(main: uvicorn.Server, front: socket.socket, admin: uvicorn.Server, back: socket.socket) -> None:
    """Both servers, until ``main`` is told to end; ``admin`` lives longer, and ``main`` never lives without it."""

    def end(_: asyncio.Task[None]) -> None:
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


class _Server(uvicorn.Server):
    """Leaves the signals to who started it: two servers share them, and none is raised again at the end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def _told_to_stop(server: uvicorn.Server, readiness: Readiness) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        readiness.ready = False  # at once, because whoever routes to us should know before the last reply is sent
        server.handle_exit(number, frame)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
