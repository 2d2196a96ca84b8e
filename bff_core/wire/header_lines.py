"""Headers as they go over the wire: written and checked once, however many requests they are sent with."""

from collections.abc import Iterator, Sequence
from typing import Final, overload

__all__ = ["NO_HEADERS", "HeaderLines"]

Header = tuple[bytes, bytes]


class HeaderLines(Sequence[Header]):
    """Pairs of name and value to whoever looks, and lines to the wire."""

    __slots__ = ("encoded",)

    def __init__(self, encoded: bytes) -> None:
        """From lines that were checked before, each with CRLF at its end."""
        self.encoded = encoded

    @classmethod
    def of(cls, *headers: Header) -> "HeaderLines":
        """From pairs. Raises ``ValueError`` where one holds CR, LF or NUL: it would become a line of its own."""
        lines = b"".join([name + b": " + value + b"\r\n" for name, value in headers])
        if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers) or b"\0" in lines:
            raise ValueError("a header holds a line break or a NUL")
        return cls(lines)

    def __iter__(self) -> Iterator[Header]:
        for line in self.encoded.split(b"\r\n")[:-1]:
            name, _, value = line.partition(b": ")
            yield name, value

    def __len__(self) -> int:
        return self.encoded.count(b"\n")

    @overload
    def __getitem__(self, place: int) -> Header: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Header]: ...

    def __getitem__(self, place: int | slice) -> Header | Sequence[Header]:
        return tuple(self)[place]

    def __repr__(self) -> str:
        return f"HeaderLines.of{tuple(self)!r}"


NO_HEADERS: Final = HeaderLines(b"")
