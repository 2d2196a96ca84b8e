"""A request as bytes on the wire of HTTP/1.1, checked so that no value can become a line of its own."""

from collections.abc import Sequence
from functools import lru_cache

from bff_core.errors import Unreachable
from bff_core.wire.contract import Instance, Request

__all__ = ["encode"]


def encode(instance: Instance, request: Request) -> bytes:
    """Request line, headers and body. Raises ``ValueError`` where a value holds CR, LF or NUL: a bug of ours."""
    lines = [f"{request.method} {request.target} HTTP/1.1".encode("ascii"), _host(instance)]
    lines += [name + b": " + value for name, value in request.headers]
    lines.append(b"accept-encoding: identity")  # what is compressed once more between two machines costs both
    if request.body or request.method not in _WITHOUT_BODY:
        lines.append(b"content-length: %d" % len(request.body))
    head = b"\r\n".join(lines)
    _check(head, lines)
    return head + b"\r\n\r\n" + request.body


_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


def _check(head: bytes, lines: Sequence[bytes]) -> None:
    breaks = len(lines) - 1
    whole = head.count(b"\n") == breaks and head.count(b"\r") == breaks and b"\0" not in head
    if not whole or lines[0].count(b" ") != 2:
        raise ValueError("the target or a header holds a line break, a NUL or a blank that does not belong there")


@lru_cache(maxsize=4096)
def _host(instance: Instance) -> bytes:
    host = f"[{instance.host}]" if ":" in instance.host else instance.host
    usual = {"http": 80, "https": 443}[instance.scheme]
    port = "" if instance.port == usual else f":{instance.port}"
    try:
        return b"host: " + host.encode("ascii" if host.isascii() else "idna") + port.encode("ascii")
    except UnicodeError as error:
        raise Unreachable(instance.upstream, f"{instance.host!r} is no host: {error}") from error
