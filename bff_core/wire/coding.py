"""A reply's body as it was before its content codings, within limits that hold while it expands.

A 483-byte ``gzip, gzip`` is 200 MB. So what comes out is counted piece by piece, behind every coding, against the most
that a body may have and against a hundred times what came in; nothing is decoded before somebody takes it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from typing import Final

from bff_core.errors import BadReply
from bff_core.wire.decoders import CodingError, Decoder, decoder

__all__ = ["Decoding", "decoded", "without_codings"]

Headers = list[tuple[bytes, bytes]]

_MOST_CODINGS: Final = 3
_RATIO: Final = 100
_FLOOR: Final = 64 * 1024  # bytes that any body may expand to
_OVERHEAD: Final = 64 * 1024  # bytes by which what is coded may be longer than what it means


class Decoding:
    """Decodes one body, a chunk at a time."""

    def __init__(self, upstream: str, codings: Sequence[str], max_body: int) -> None:
        """``codings`` in the order in which they were applied. Raises ``BadReply`` for one that nobody knows."""
        self._upstream = upstream
        self._codings = ", ".join(codings)
        self._most_taken = max_body + _OVERHEAD
        self._taken = 0
        if len(codings) > _MOST_CODINGS:
            raise self._bad(f"more than {_MOST_CODINGS}")
        try:
            self._layers = [_Layer(decoder(coding), max_body + _OVERHEAD) for coding in reversed(codings)]
        except CodingError as error:
            raise self._bad(error) from error
        self._layers[-1].most = max_body

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What ``chunk`` means, in pieces. Raises ``BadReply`` where it is corrupt or beyond a limit."""
        self._taken += len(chunk)
        if self._taken > self._most_taken:
            raise self._bad(f"over {self._most_taken} bytes")
        pieces: Iterable[bytes] = (chunk,)
        for layer in self._layers:
            pieces = layer.pieces(pieces, self._taken)
        try:
            yield from pieces
        except CodingError as error:
            raise self._bad(error) from error

    def end(self) -> None:
        """Nothing more comes. Raises ``BadReply`` where something is missing; of no bytes at all, nothing is."""
        if self._taken and not all(layer.decoder.ended for layer in self._layers):
            raise self._bad("breaks off")

    def _bad(self, what: object) -> BadReply:
        return BadReply(self._upstream, f"content coding {self._codings!r}: {what}")


class _Layer:
    def __init__(self, decoder: Decoder, most: int) -> None:
        self.decoder = decoder
        self.most = most
        self._total = 0

    def pieces(self, coded: Iterable[bytes], taken: int) -> Iterator[bytes]:
        for chunk in coded:
            for piece in self.decoder.feed(chunk):
                self._total += len(piece)
                if self._total > self.most:
                    raise CodingError(f"body over {self.most} bytes")
                if self._total > _FLOOR and self._total > _RATIO * taken:
                    raise CodingError(f"expands more than {_RATIO} : 1")
                yield piece


def without_codings(upstream: str, headers: Headers, max_body: int) -> tuple[Headers, Decoding | None]:
    """The headers of a reply as they are once it is decoded, and what decodes it; ``None`` where nothing has to.

    Raises ``BadReply`` for a coding that nobody knows.
    """
    named = b",".join(value for name, value in headers if name == b"content-encoding").decode("latin-1").lower()
    codings = [coding for part in named.split(",") if (coding := part.strip()) not in {"", "identity"}]
    if not codings:
        return headers, None
    # a length and a coding that are true of the bytes on the wire are wrong of what they mean
    kept = [one for one in headers if one[0] not in {b"content-encoding", b"content-length"}]
    return kept, Decoding(upstream, codings, max_body)


async def decoded(chunks: AsyncIterator[bytes], decoding: Decoding) -> AsyncGenerator[bytes, None]:
    """What ``chunks`` mean, each decoded when it is taken, so that who reads slowly holds up what expands."""
    async for chunk in chunks:
        for piece in decoding.feed(chunk):
            yield piece
    decoding.end()
