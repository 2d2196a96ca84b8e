"""Paths with holes, into which a value can be put and never get out of.

Every value is percent-encoded to one path segment (RFC 3986, 3.3): ``/``, ``?``, ``%``, ``@`` and everything beyond
ASCII lose their meaning. Encoding does not help against ``.`` and ``..``, which servers may take for steps through
the tree even as ``%2e%2e``; they, and the empty value, are refused.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from bff_core.errors import InvalidRequest

__all__ = ["QueryValue", "Template"]

QueryValue = str | int | Sequence[str] | None

_PLAIN = re.compile(r"[A-Za-z0-9_~-]+")
_HOLE = re.compile(r"\{([a-z_]+)\}")


class Template:
    """A path like ``/products/{product_id}``, compiled once. Its text is the label in metrics and traces."""

    __slots__ = ("_first", "_rest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._first, *fixed = _HOLE.split(text)[0::2]
        self._rest = tuple(zip(_HOLE.findall(text), fixed, strict=True))

    def fill(self, values: Mapping[str, str], query: Mapping[str, QueryValue] | None = None) -> str:
        """The target with every hole filled and ``query`` behind it; what is ``None`` is left out.

        Raises ``InvalidRequest`` for a value that cannot be a path segment.
        """
        target = self._first
        for name, fixed in self._rest:
            target += _segment(name, values[name]) + fixed
        if not query:
            return target
        written = _query([(name, value) for name, value in query.items() if value is not None])
        return f"{target}?{written}" if written else target


def _segment(name: str, value: str) -> str:
    if (value.isascii() and value.replace("-", "").isalnum()) or _PLAIN.fullmatch(value):
        return value  # as it is, which is what most are; a regular expression costs more than all the rest
    if value in {"", ".", ".."}:
        raise InvalidRequest((name, f"{value!r} cannot be part of a path"))
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:  # a lone surrogate
        raise InvalidRequest((name, "is no text that can be encoded")) from None


def _query(given: list[tuple[str, Any]]) -> str:
    try:
        return urlencode(given, doseq=True, quote_via=quote)
    except UnicodeEncodeError:
        raise InvalidRequest(("query", "is no text that can be encoded")) from None
