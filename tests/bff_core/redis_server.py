"""A Redis of the test's own: nothing is kept on disk, and it listens on a port of this machine and on a socket."""

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Self

from tests.processes import free_ports

__all__ = ["MISSING", "RedisServer"]

_PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
MISSING = "waits for Redis (Debian: redis-server)" if _PROGRAM is None else None
_CLIENT = shutil.which("redis-cli") or shutil.which("valkey-cli")


class RedisServer:
    """To be entered. ``options`` are words of its command line."""

    def __init__(self, *options: str) -> None:
        self._options = options

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="bff-redis-"))
        (self.port,) = free_ports(1)
        self.socket = f"{self._folder}/redis.sock"
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Return once it answers."""
        assert _PROGRAM is not None
        words = [_PROGRAM, "--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", self.socket]
        words += ["--save", "", "--appendonly", "no", "--dir", str(self._folder), *self._options]
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        end = monotonic() + 10
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert monotonic() < end
            Event().wait(0.02)

    def stop(self) -> None:
        """It may hang just now."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
        self._process.wait(10)

    def pause(self) -> None:
        """It answers no more, and closes nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def say(self, *words: str) -> str:
        """What ``redis-cli`` says to a command."""
        assert _CLIENT is not None
        done = subprocess.run([_CLIENT, "-s", self.socket, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def _answers(self) -> bool:
        assert _CLIENT is not None
        ask = [_CLIENT, "-s", self.socket, "PING"]
        said = subprocess.run(ask, capture_output=True, text=True, check=False).stdout
        return "PONG" in said or "NOAUTH" in said
