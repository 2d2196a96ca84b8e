"""Whether everyone answers the same, asked before anything is measured."""

import json
import urllib.error
import urllib.request
from typing import Any

from bench.load import Void

__all__ = ["ask", "check"]


def ask(name: str, port: int) -> bytes:
    """The body of a page; raises ``Void`` where the answer is not 200 and JSON."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/page/pojos-in-action", timeout=10) as reply:
            media_type, body = reply.headers.get_content_type(), reply.read()
    except (urllib.error.URLError, OSError) as error:
        raise Void(f"{name}: does not answer: {error}") from error
    if reply.status != 200 or media_type != "application/json":
        raise Void(f"{name}: answers {reply.status} and {media_type}")
    return bytes(body)


def check(name: str, body: bytes, expected: bytes, *, ordered: bool) -> None:
    """Raises ``Void`` where ``body`` is not what the others answer.

    Not ``ordered``: the members of objects may come in any order (RFC 8259, 4), but not a byte more may come.
    """
    same = body == expected if ordered else len(body) == len(expected) and _value(body) == _value(expected)
    if not same:
        raise Void(f"{name}: answers something else than the others: {body[:200]!r}… instead of {expected[:200]!r}…")


def _value(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
