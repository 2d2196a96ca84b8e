"""One gateway and its operators' listener, served by uvicorn in one process."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
import uvloop
from starlette.types import ASGIApp

from bff_core.cli.found import FoundGateway
from bff_core.settings import GatewaySettings
from bff_core.telemetry import log

__all__ = ["PortTaken", "bind", "serve"]

_log = logging.getLogger("bff.serve")
_FINISH_WITHIN = 25  # seconds for what is in flight when we are told to stop


class PortTaken(Exception):
    """Someone else listens where we should."""


def serve(found: FoundGateway, settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    log.to_standard_output()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # two servers would say everything twice
    front, back = bind(settings.listen), bind(settings.admin)
    app = found.create(settings)
    _log.info("%s listens on %s, for operators on %s", settings.name, settings.listen, settings.admin)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_both(_Server(_config(app)), front, _Quiet(_config(app.state.admin)), back))


def bind(address: str) -> socket.socket:
    """A socket that listens on ``host:port``."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, int(port)))
    except OSError as error:
        sock.close()
        raise PortTaken(f"cannot listen on {address}: {error.strerror}") from error
    return sock


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        log_config=None,
        access_log=False,  # ours says more, and escapes it
        server_header=False,
        proxy_headers=False,  # whom to believe is for the front door to decide
        timeout_graceful_shutdown=_FINISH_WITHIN,
    )


async def _both(main: uvicorn.Server, front: socket.socket, admin: uvicorn.Server, back: socket.socket) -> None:
    operators = asyncio.create_task(admin.serve(sockets=[back]))
    try:
        await main.serve(sockets=[front])
    finally:
        admin.should_exit = True
        await operators


class _Server(uvicorn.Server):
    """Ends quietly: the signal that ended it is not raised again as ``KeyboardInterrupt``."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


class _Quiet(uvicorn.Server):
    """Leaves the signals to the server beside it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
