"""Several services in one process: a socket for each, one event loop for all."""

import asyncio
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from demo.access_log import GONE
from demo.fault import ABORT, hang_up


class AbortableProtocol(HttpToolsProtocol):
    """HTTP as uvicorn speaks it; the app may drop the connection unanswered, and ask when its caller has."""

    gone: float | None = None

    def on_message_begin(self) -> None:
        """Offer both to the app that will see this request."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: self.transport.abort, GONE: lambda: self.gone}  # type: ignore[dict-item]

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone, or was dropped."""
        self.gone = perf_counter()
        super().connection_lost(exc)


class QuietServer(uvicorn.Server):
    """A server that leaves signals alone, because several of them share one process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing to capture: `serve` below listens for all servers."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drop what is under way, because a latency of a minute may be all that it waits for."""
        for task in self.server_state.tasks:
            task.cancel()
        await super().shutdown(sockets)


def droppable(app: ASGIApp) -> ASGIApp:
    """The app, hanging up on its client when a request is cancelled."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            await hang_up(scope, receive)

    return call


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; 0 takes a free port. Raises OSError when that is impossible."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def serve(apps: Mapping[socket.socket, ASGIApp]) -> None:
    """Serve each app on its socket until SIGINT or SIGTERM."""
    loop_factory = uvicorn.Config("").get_loop_factory()  # uvloop where there is one
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_serve(apps))


async def _serve(apps: Mapping[socket.socket, ASGIApp]) -> None:
    servers = {listener: QuietServer(_config(app)) for listener, app in apps.items()}

    def stop() -> None:
        for server in servers.values():
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve(sockets=[listener]) for listener, server in servers.items()))


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        droppable(app),
        http=AbortableProtocol,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
