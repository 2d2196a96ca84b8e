"""What the server says to one call: its lot as bytes, and what becomes of the connection."""

import gzip
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from tests.soak.wire.lot import Lot, content

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["Script", "script"]


@dataclass(frozen=True, slots=True)
class Script:
    """``pieces`` are said one after the other; ``then`` is what becomes of the connection."""

    pieces: list[bytes]
    then: str


_CODERS: dict[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": gzip.compress, "zstd": zstd.compress}
_FORGED = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" + content(0, 100)  # call 0 is never made

NONSENSE = (
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-encoding: rot13\r\ncontent-length: 5\r\n\r\nhello",
    b"HTTP/1.1 999 Whatever\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    b"HTTP/1.1 200 OK\r\na: " + bytes(40_000),
)


def script(lot: Lot) -> Script:
    """What is said to the call of this lot."""
    if lot.fault == "nonsense":
        return Script([NONSENSE[lot.number % len(NONSENSE)]], "kept")
    whole = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * lot.answer.interim + _reply(lot)
    if lot.fault in {"reset", "cut", "silence"}:
        whole = whole[: int(len(whole) * lot.answer.cut)]
        return Script(_split(whole, lot), {"reset": "reset", "cut": "closed", "silence": "kept"}[lot.fault])
    if lot.fault == "second reply":
        return Script([whole + _FORGED], "kept")
    return Script(_split(whole, lot), lot.answer.ending)


def _reply(lot: Lot) -> bytes:
    answer = lot.answer
    body = b"" if answer.bodiless else _CODERS[answer.coding](content(lot.number, answer.size))
    if lot.fault == "corrupt":
        body = body[:-8] + bytes(8)  # neither its checksum nor its length
    lines = [b"HTTP/1.1 %d Whatever" % answer.status]
    if answer.named:
        lines.append(b"x-number: %d" % lot.number)
    if answer.coding and not answer.bodiless:
        lines.append(b"content-encoding: " + answer.coding.encode())
    if answer.ending == "said":
        lines.append(b"connection: close")
    if not answer.bodiless:
        lines += {"length": [b"content-length: %d" % len(body)], "chunked": [b"transfer-encoding: chunked"]}.get(
            answer.framing, []
        )
    said = b"" if lot.question.method == "HEAD" else _framed(answer.framing, body, lot) if body else b""
    return b"\r\n".join(lines) + b"\r\n\r\n" + said


def _framed(framing: str, body: bytes, lot: Lot) -> bytes:
    if framing != "chunked":
        return body
    size = len(body) // 3 + 1
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    trailer = b"x-trailer: yes\r\n" if lot.number % 5 == 0 else b""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailer + b"\r\n"


def _split(whole: bytes, lot: Lot) -> list[bytes]:
    random = Random(lot.number)
    places = {0, len(whole), *(random.randrange(len(whole) + 1) for _ in range(lot.answer.pieces - 1))}
    return [whole[start:end] for start, end in pairwise(sorted(places))]
