"""A command that runs beside others: its lines, and its end with everything it started."""

import asyncio
import os
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from bff_core.server.parent import end_with

__all__ = ["Child", "lines"]

_CHUNK: Final = 64 * 1024  # bytes
_LONGEST: Final = 256 * 1024  # bytes of a line; a traceback is one line of JSON


class Child:
    """A running command, in a process group of its own."""

    def __init__(self, process: Process, output: int, show: Callable[[str], None]) -> None:
        self._process, self._is_gone = process, False
        self._showing = asyncio.create_task(_show(output, show))

    @classmethod
    async def start(cls, words: Sequence[str], show: Callable[[str], None], env: Mapping[str, str]) -> "Child":
        """Start it, with ``env`` over our environment; ``show`` gets its lines. ``OSError`` for no such command.

        On Linux it is told to end when we die without a word; elsewhere it then stays.
        """
        # a pipe of our own: asyncio's would hide the end of the command for as long as a grandchild holds the pipe
        ours, theirs = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                stdin=DEVNULL,
                stdout=theirs,
                stderr=STDOUT,
                env={**os.environ, **env},
                start_new_session=True,  # because Ctrl-C should reach us alone: we end them in order
                preexec_fn=end_with(os.getpid()),
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return cls(process, ours, show)

    @property
    def has_ended(self) -> bool:
        """Whether the command itself has; what it started may not have."""
        return self._process.returncode is not None

    async def ended(self) -> None:
        """Wait until it has."""
        await self._process.wait()

    async def gone(self) -> None:
        """Wait until nothing of its group is left."""
        while self.signal(0):
            self._reap()
            await asyncio.sleep(0.02)

    def signal(self, number: int) -> bool:
        """Send a signal to the whole group; whether there was anyone to get it."""
        if not self._is_gone:  # its number may be someone else's afterwards
            try:
                os.killpg(self._process.pid, number)
            except (ProcessLookupError, PermissionError):  # the second is what macOS says of a group of the dead
                self._is_gone = True
        return not self._is_gone

    async def over(self, within: float) -> None:
        """Wait until it has ended and all is shown, or ``within`` seconds: who left its group may hold the pipe."""
        ended = asyncio.create_task(self.ended())
        await asyncio.wait([ended, self._showing], timeout=within)
        ended.cancel()
        self._showing.cancel()

    def _reap(self) -> None:
        if self.has_ended:  # what it started is ours now
            with suppress(ChildProcessError):
                os.waitpid(-self._process.pid, os.WNOHANG)


async def lines(output: asyncio.StreamReader) -> AsyncIterator[str]:
    """Every line, without its end. Of a very long one the beginning, at least 256 KiB of it."""
    kept = b""
    while chunk := await output.read(_CHUNK):
        *whole, kept = (kept + chunk).split(b"\n")
        for line in whole:
            yield _text(line)
        kept = kept[:_LONGEST]
    if kept:
        yield _text(kept)


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip()


async def _show(output: int, show: Callable[[str], None]) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(output, "rb", buffering=0)
    )
    try:
        async for line in lines(reader):
            show(line)
    finally:
        transport.close()
