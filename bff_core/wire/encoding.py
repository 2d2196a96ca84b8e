"""A request as bytes on the wire of HTTP/1.1, checked so that no value can become a line of its own."""

from typing import Final

from bff_core.errors import Unreachable
from bff_core.wire.contract import Instance, Request
from bff_core.wire.header_lines import HeaderLines
from bff_core.wire.terms import Terms

__all__ = ["declared_length", "encode", "encode_head", "fixed_lines", "host"]

_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


def encode(request: Request, body: bytes, fixed: bytes) -> bytes:
    """Request line, headers (those of ``fixed_lines`` with them) and body.

    Raises ``ValueError`` where a value holds CR, LF or NUL: a bug of ours.
    """
    head = _head(request, fixed)
    if body or request.method not in _WITHOUT_BODY:
        return head + b"content-length: %d\r\n\r\n" % len(body) + body
    return head + b"\r\n"


def encode_head(request: Request, length: int | None, fixed: bytes) -> bytes:
    """The head of a request whose body comes piece by piece. Raises ``ValueError`` as ``encode`` does."""
    return _head(request, fixed) + (b"transfer-encoding: chunked\r\n\r\n" if length is None else b"\r\n")


def declared_length(request: Request) -> int | None:
    """How long a body that comes piece by piece says it is. Raises ``ValueError`` where that is not clear."""
    lengths = [value for name, value in request.headers if name == b"content-length"]
    if len(lengths) > 1 or not all(map(bytes.isdigit, lengths)) or b"transfer-encoding" in dict(request.headers):
        raise ValueError("the headers of a request do not say clearly how long its body is")
    return int(lengths[0]) if lengths else None


def fixed_lines(instance: Instance, terms: Terms) -> bytes:
    """The headers that every request to ``instance`` has. Raises ``Unreachable`` for a host that is none."""
    return HeaderLines.of((b"host", host(instance)), (b"accept-encoding", terms.accept_encoding)).encoded


def host(instance: Instance) -> bytes:
    """What requests to ``instance`` say in ``Host``. Raises ``Unreachable`` for a host that is none."""
    if instance.scheme == "unix":
        return b"localhost"
    called = f"[{instance.called}]" if ":" in instance.called else instance.called
    usual = {"http": 80, "https": 443}[instance.scheme]
    port = "" if instance.port == usual else f":{instance.port}"
    try:
        return called.encode("ascii" if called.isascii() else "idna") + port.encode("ascii")
    except UnicodeError as error:
        raise Unreachable(instance.upstream, f"{called!r} is no host: {error}") from error


def _head(request: Request, fixed: bytes) -> bytes:
    start = f"{request.method} {request.target}"
    # printable ASCII, method and target with one blank between: a regular expression takes three times as long
    if not (
        start.isascii()
        and start.isprintable()
        and start.count(" ") == 1
        and request.method.isalpha()
        and request.target
    ):
        raise ValueError("the target or the method holds a line break, a NUL or a blank that does not belong there")
    headers = request.headers
    lines = headers.encoded if isinstance(headers, HeaderLines) else HeaderLines.of(*headers).encoded
    return start.encode("ascii") + b" HTTP/1.1\r\n" + fixed + lines
