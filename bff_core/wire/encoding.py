"""A request as bytes on the wire of HTTP/1.1, checked so that no value can become a line of its own."""

from collections.abc import Sequence

from bff_core.errors import Unreachable
from bff_core.wire.contract import Instance, Request
from bff_core.wire.terms import Terms

__all__ = ["declared_length", "encode", "encode_head", "fixed_lines"]


def encode(request: Request, body: bytes, fixed: Sequence[bytes]) -> bytes:
    """Request line, headers (those of ``fixed_lines`` with them) and body.

    Raises ``ValueError`` where a value holds CR, LF or NUL: a bug of ours.
    """
    lines = [f"{request.method} {request.target} HTTP/1.1".encode("ascii"), *fixed]
    lines += [name + b": " + value for name, value in request.headers]
    if body or request.method not in _WITHOUT_BODY:
        lines.append(b"content-length: %d" % len(body))
    head = b"\r\n".join(lines)
    _check(head, lines)
    return head + b"\r\n\r\n" + body


def encode_head(request: Request, length: int | None, fixed: Sequence[bytes]) -> bytes:
    """The head of a request whose body comes piece by piece. Raises ``ValueError`` as ``encode`` does."""
    lines = [f"{request.method} {request.target} HTTP/1.1".encode("ascii"), *fixed]
    lines += [name + b": " + value for name, value in request.headers]
    if length is None:
        lines.append(b"transfer-encoding: chunked")
    head = b"\r\n".join(lines)
    _check(head, lines)
    return head + b"\r\n\r\n"


def declared_length(request: Request) -> int | None:
    """How long a body that comes piece by piece says it is. Raises ``ValueError`` where that is not clear."""
    lengths = [value for name, value in request.headers if name == b"content-length"]
    if len(lengths) > 1 or not all(map(bytes.isdigit, lengths)) or b"transfer-encoding" in dict(request.headers):
        raise ValueError("the headers of a request do not say clearly how long its body is")
    return int(lengths[0]) if lengths else None


def fixed_lines(instance: Instance, terms: Terms) -> tuple[bytes, bytes]:
    """The headers that every request to ``instance`` has. Raises ``Unreachable`` for a host that is none."""
    return b"host: " + _host(instance), b"accept-encoding: " + terms.accept_encoding


_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


def _check(head: bytes, lines: Sequence[bytes]) -> None:
    breaks = len(lines) - 1
    whole = head.count(b"\n") == breaks and head.count(b"\r") == breaks and b"\0" not in head
    if not whole or lines[0].count(b" ") != 2:
        raise ValueError("the target or a header holds a line break, a NUL or a blank that does not belong there")


def _host(instance: Instance) -> bytes:
    if instance.scheme == "unix":
        return b"localhost"
    host = f"[{instance.host}]" if ":" in instance.host else instance.host
    usual = {"http": 80, "https": 443}[instance.scheme]
    port = "" if instance.port == usual else f":{instance.port}"
    try:
        return host.encode("ascii" if host.isascii() else "idna") + port.encode("ascii")
    except UnicodeError as error:
        raise Unreachable(instance.upstream, f"{instance.host!r} is no host: {error}") from error
