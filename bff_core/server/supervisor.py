"""A gateway of several processes: started, watched, started again, and ended together.

Each worker is the same command once more. It inherits the socket that clients connect to, and tells operators what it
knows through a Unix socket of its own, so that they ask in one place.
"""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from os import getpid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pydantic_core import from_json

from bff_core.auth.relays import relay_keys_of
from bff_core.edge.admin import admin_app_of_workers
from bff_core.edge.published_keys import publish_keys
from bff_core.errors import GatewayError
from bff_core.server.parent import end_with
from bff_core.server.process import ListenerLost, begin_to_log, operators_server
from bff_core.settings import GatewaySettings
from bff_core.wire import Instance, Request
from bff_core.wire.http1 import Http1Wire

__all__ = ["WorkersLost", "supervise"]

_log = logging.getLogger("bff.supervisor")

_TRIALS: Final = 3  # of a worker that ends before it has lived
_LIVED: Final = 5.0  # seconds
_PAUSE: Final = 1.0  # seconds between two trials
_FINISH_WITHIN: Final = 30.0  # seconds after the drain, for those that do not end
_ANSWER_WITHIN: Final = 1.0  # seconds for what operators ask
_TOLD: Final = {
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGINT: signal.SIGINT,
    signal.SIGHUP: signal.SIGTERM,  # of which a worker would die at once, because a terminal was closed
}
_MOST: Final = 1024 * 1024  # bytes of an answer


class WorkersLost(Exception):
    """A worker ended again and again as soon as it was started."""


def supervise(words: Sequence[str], settings: GatewaySettings, front: socket.socket, back: socket.socket) -> None:
    """Run ``settings.workers`` times ``bff words`` until SIGTERM, SIGINT or SIGHUP, of which they are told.

    Operators ask at ``back``. Raises ``WorkersLost`` or ``ListenerLost`` when all workers have ended.
    """
    begin_to_log()
    with front, back, TemporaryDirectory(prefix="bff-") as folder:
        listens = (settings.name, settings.listen, settings.workers, settings.admin)
        _log.info("%s listens on %s in %d processes, for operators on %s", *listens)
        asyncio.run(_Crowd(words, settings, front, Path(folder)).live(back))


class _Crowd:
    def __init__(self, words: Sequence[str], settings: GatewaySettings, front: socket.socket, folder: Path) -> None:
        self._command = [sys.executable, "-m", "bff_core.cli", *words, "--inherit", str(front.fileno())]
        self._settings, self._front = settings, front
        self._places = [folder / f"{number}.sock" for number in range(settings.workers)]
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._told = asyncio.Event()
        self._wire = Http1Wire()
        self._lost: int | None = None

    async def live(self, back: socket.socket) -> None:
        """Until told to end; then until the last worker has."""
        loop = asyncio.get_running_loop()
        for number, told in _TOLD.items():
            loop.add_signal_handler(number, self._tell, told)
        app = admin_app_of_workers(self._settings, self._ask)
        if (keys := relay_keys_of(self._settings)) is not None:  # the same as those of the workers
            publish_keys(app, keys.published)
        admin = operators_server(app)
        operators = asyncio.create_task(admin.serve(sockets=[back]))
        operators.add_done_callback(lambda _: self._tell(signal.SIGTERM))  # nobody runs what nobody can look into
        try:
            await asyncio.gather(*(self._keep(number) for number in range(self._settings.workers)))
            if operators.done():
                raise ListenerLost("the operators' server ended by itself") from operators.exception()
        finally:
            admin.should_exit = True
            await asyncio.wait([operators])
            await self._wire.close()
        if self._lost is not None:
            raise WorkersLost(
                f"worker {self._lost} ended {_TRIALS} times as soon as it was started; what it says is above"
            )

    async def _keep(self, number: int) -> None:
        trials = 0
        while not self._told.is_set():
            lived, status = await self._run(number)
            if self._told.is_set():
                return
            trials = 0 if lived > _LIVED else trials + 1
            if trials == _TRIALS:
                self._lost = number
                self._tell(signal.SIGTERM)
                return
            _log.warning("worker %d has ended (%d) and starts again", number, status)
            if trials:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._told.wait(), _PAUSE)

    async def _run(self, number: int) -> tuple[float, int]:
        """One life of a worker: how long it was, and the exit status."""
        now = asyncio.get_running_loop().time
        born = now()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                "--operators",
                str(self._places[number]),
                pass_fds=[self._front.fileno()],
                start_new_session=True,  # because Ctrl-C should reach us alone: we tell them
                preexec_fn=end_with(getpid()),
            )
        except OSError as error:  # no room for one more; perhaps there is later
            _log.error("worker %d cannot be started: %s", number, error)
            return 0.0, 1
        self._running[number] = process
        if self._told.is_set():  # while it was started
            process.terminate()
        status = await process.wait()
        del self._running[number]
        return now() - born, status

    def _tell(self, number: int) -> None:
        if not self._told.is_set():
            asyncio.get_running_loop().call_later(self._settings.drain + _FINISH_WITHIN, self._kill)
        self._told.set()
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.send_signal(number)

    def _kill(self) -> None:
        for process in self._running.values():
            _log.warning("worker %d did not end in time", process.pid)
            with suppress(ProcessLookupError):
                process.kill()

    async def _ask(self) -> list[dict[str, Any]]:
        return await asyncio.gather(*(self._ask_one(number) for number in range(self._settings.workers)))

    async def _ask_one(self, number: int) -> dict[str, Any]:
        process = self._running.get(number)
        facts: dict[str, Any] = {"worker": number, "pid": process.pid if process else None}
        instance = Instance.parse("worker", f"unix:{self._places[number]}")
        until = asyncio.get_running_loop().time() + _ANSWER_WITHIN
        try:
            reply = await self._wire.send(instance, Request("GET", "/healthz"), until=until, max_body=_MOST)
            return {**facts, **from_json(reply.body)}
        except (GatewayError, ValueError, TypeError) as error:  # the last two: of what is no answer of ours
            return {**facts, "ready": False, "error": str(error)}
