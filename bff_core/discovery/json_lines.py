"""Lines out of pieces that end anywhere."""

from collections.abc import Iterator

from bff_core.discovery.contract import SourceFailed

__all__ = ["Lines"]


class Lines:
    """Of at most ``longest`` bytes each."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = bytearray()

    def of(self, piece: bytes) -> Iterator[bytes]:
        """Each line that ends in this piece, without its end. Raises ``SourceFailed`` as soon as one is too long."""
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            self._add(piece[start:end])
            line = bytes(self._rest)
            self._rest.clear()
            yield line
            start = end + 1
        self._add(piece[start:])

    def _add(self, part: bytes) -> None:
        if len(self._rest) + len(part) > self._longest:
            raise SourceFailed(f"kubernetes: a line of more than {self._longest} bytes")
        self._rest += part
