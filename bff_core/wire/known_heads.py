"""Heads of replies that were parsed before, byte for byte: what they meant then, they mean now.

A service answers thousands of calls with the same few heads, until its ``Date`` moves on. So a reply that came in one
piece, behind a head that the parser has accepted, is cut at the length that this head declares, and the parser is
spared: half of what the wire costs. One byte more or less, and it is parsed like any other.
"""

from typing import Final

from bff_core.wire.contract import Reply

__all__ = ["KnownHeads"]

_MOST: Final = 512  # heads
_LONGEST: Final = 1024  # bytes of one that is worth keeping
_TRIALS: Final = 1000  # heads that may turn out not to come again, before it is clear that none does

Head = tuple[int, tuple[tuple[bytes, bytes], ...], int]


class KnownHeads:
    """Those of one instance. Where they do not repeat, as with an id in each, it stops to keep them."""

    __slots__ = ("_found", "_heads", "_kept")

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}
        self._found = self._kept = 0

    def reply(self, data: bytes, max_body: int) -> Reply | None:
        """The reply that ``data`` is as a whole, where its head is known."""
        end = data.find(b"\r\n\r\n") + 4
        head = self._heads.get(data[:end])
        if head is not None:
            status, headers, length = head
            if len(data) == end + length and length <= max_body:
                self._found += 1
                return Reply(status, headers, data[end:])
        return None

    def keep(self, data: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """``data`` was one whole reply, of which the connection was kept: its head declares how long it is."""
        end = data.find(b"\r\n\r\n") + 4
        if not data.startswith(b"HTTP/1."):
            return  # the parser passes over line breaks before a reply, and we would take them for a head
        if end > _LONGEST or self._kept > _TRIALS + self._found:
            return
        if len(self._heads) >= _MOST:
            self._heads.clear()
        self._kept += 1
        self._heads[data[:end]] = (status, tuple(headers), len(data) - end)
