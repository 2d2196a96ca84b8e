"""Where a server listens: an address with a port, or a Unix socket."""

import errno
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
    """A socket that listens on ``host:port`` or ``unix:/path``; ``PortTaken`` where it cannot."""
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
    return _listening(family, (host, int(port)))


def _unix(path: str) -> socket.socket:
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(Path(path).stat().st_mode) and not _answers(path):
            Path(path).unlink()  # left behind by someone who could not clean up
    return _listening(socket.AF_UNIX, path)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        return sock.connect_ex(path) != errno.ECONNREFUSED


def _listening(family: socket.AddressFamily, place: str | tuple[str, int]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen(_BACKLOG)  # here, because SO_REUSEADDR lets two bind one port, and uvloop keeps quiet about it
    except BaseException:
        sock.close()
        raise
    return sock
