"""Processes that are measured or help to measure: started on one core, and ended with all that they started."""

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Final

from bench.cores import pinned

__all__ = ["ROOT", "NotStarted", "free_ports", "started"]

ROOT: Final = Path(__file__).parent.parent
_STARTS_WITHIN: Final = 30.0  # seconds
_ENDS_WITHIN: Final = 10.0


class NotStarted(Exception):
    """A process ended, or did not listen in time; the message has the end of what it said."""


def free_ports(number: int) -> list[int]:
    """So many ports on which nobody listens just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports: list[int] = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


@contextmanager
def started(
    name: str, words: Sequence[str], *, port: int, core: int | None, env: Mapping[str, str] | None = None
) -> Iterator[int]:
    """The id of a process that listens on ``port``; it is gone when the block is left.

    What it says to standard output goes nowhere, for everyone alike: writing it is part of what is measured, and
    keeping it is not.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            pinned(core, words),
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        try:
            _wait_for(name, process, port, said)
            yield process.pid
        finally:
            _end(process)


def _wait_for(name: str, process: subprocess.Popen[bytes], port: int, said: IO[bytes]) -> None:
    until = monotonic() + _STARTS_WITHIN
    while not _listens(port):
        if process.poll() is not None or monotonic() > until:
            said.seek(0)
            last = said.read().decode(errors="replace").strip()[-2000:]
            how = f"ended with {process.returncode}" if process.returncode is not None else "does not listen"
            raise NotStarted(f"{name} {how}: {last or 'it said nothing'}")
        sleep(0.02)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_ENDS_WITHIN)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
