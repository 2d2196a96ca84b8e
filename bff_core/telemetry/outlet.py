"""Standard output that nobody waits for: who reads it slowly, or not at all, slows no request down."""

import asyncio
import os
import select
import stat
from collections.abc import Callable
from typing import Final

__all__ = ["Outlet"]

_AT_MOST: Final = 1024 * 1024  # bytes kept for a reader that is slow
_AGAIN: Final = 0.05  # seconds until we look whether it has caught up
_LAST_WAIT: Final = 1000  # milliseconds for it at the end


class Outlet:
    """Writes whole lines to a file descriptor, in order, without ever raising.

    To a pipe it never waits either: what does not fit is kept, up to 1 MiB, and what comes then is lost; ``lost`` makes
    the line that says how many were. Any other file is waited for as usual.
    """

    def __init__(self, descriptor: int, lost: Callable[[int], bytes]) -> None:
        self._descriptor = _without_waiting(descriptor)
        self._line_of_lost = lost
        self._kept = bytearray()
        self._lost = 0
        self._awaited = False

    def write(self, lines: bytes) -> None:
        """Write them, or keep them, or lose them."""
        if not self._kept:
            done = self._written(lines)
            if done == len(lines):
                return
            lines = lines[done:]
        if len(self._kept) + len(lines) > _AT_MOST:
            self._lost += lines.count(b"\n")
        else:
            self._kept += lines
        self._look_again()

    def flush(self) -> None:
        """Write what was kept, as far as it is taken."""
        self._awaited = False
        if self._kept:
            del self._kept[: self._written(self._kept)]
        if self._kept:
            self._look_again()
        elif self._lost:
            lost, self._lost = self._lost, 0
            self.write(self._line_of_lost(lost) + b"\n")

    def close(self) -> None:
        """Write the rest, and wait a second for whoever reads it."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        while self._kept and poll.poll(_LAST_WAIT):
            self.flush()

    def _written(self, lines: bytes | bytearray) -> int:
        """How many bytes are done with."""
        done = 0
        try:
            done = os.write(self._descriptor, lines)
            while done < len(lines):
                done += os.write(self._descriptor, memoryview(lines)[done:])
        except BlockingIOError:
            return done
        except OSError:  # nobody reads any more, or the disk is full; a gateway is not there for its log
            return len(lines)
        return done

    def _look_again(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if not self._awaited:
            self._awaited = True
            loop.call_later(_AGAIN, self.flush)


def _without_waiting(descriptor: int) -> int:
    """The same pipe, opened anew, because whoever shares ours with us may want to wait."""
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        try:
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # a system that has no such files, or nobody who reads
            return descriptor
    return descriptor
