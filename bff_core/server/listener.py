"""Where a server listens: an address with a port, or a Unix socket."""

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["PortTaken", "bind"]

_BACKLOG: Final = 2048  # connections that may wait to be accepted
_UNIX: Final = "unix:"


class PortTaken(Exception):
    """We cannot listen where we should; most likely someone else does."""


def bind(address: str) -> socket.socket:
    """A socket that listens on ``host:port`` or ``unix:/path``; ``PortTaken`` where it cannot.

    The file of a Unix socket is gone when it is closed.
    """
    try:
        if address.startswith(_UNIX):
            return _unix(address.removeprefix(_UNIX))
        return _tcp(address)
    except (OSError, TypeError) as error:  # TypeError: no name of a host at all
        raise PortTaken(f"cannot listen on {address}: {getattr(error, 'strerror', None) or error}") from error


def _tcp(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return _listening(socket.socket(family, socket.SOCK_STREAM), (host, int(port)))


def _unix(path: str) -> socket.socket:
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(Path(path).stat().st_mode) and not _answers(path):
            Path(path).unlink()  # left behind by someone who could not clean up
    return _listening(_UnixSocket(), path)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)  # because one whose queue is full would let us wait
        return sock.connect_ex(path) != errno.ECONNREFUSED


class _UnixSocket(socket.socket):
    """Takes its file along when it is closed, unless another has been put there."""

    def __init__(self) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._file: tuple[Path, os.stat_result] | None = None

    def listen(self, backlog: int = _BACKLOG) -> None:
        super().listen(backlog)
        path = Path(self.getsockname())
        self._file = path, path.stat()

    def close(self) -> None:
        if self._file is not None:
            (path, ours), self._file = self._file, None
            with suppress(OSError):
                if os.path.samestat(path.stat(), ours):
                    path.unlink()
        super().close()


def _listening(sock: socket.socket, place: str | tuple[str, int]) -> socket.socket:
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen(_BACKLOG)  # here, because SO_REUSEADDR lets two bind one port, and uvloop keeps quiet about it
    except BaseException:
        sock.close()
        raise
    return sock
