"""The body of a reply on its way through one process: no faster than it is taken."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol

from bff_core.wire.coding import Decoding, decoded

__all__ = ["ReplyBody", "Source"]

_AHEAD: Final = 64 * 1024  # bytes that may wait to be taken


class Source(Protocol):
    """Where the pieces come from."""

    def pause(self) -> None:
        """Bring nothing for now."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...

    def abort(self) -> None:
        """Nobody wants any more."""
        ...


class ReplyBody:
    """A ``ReplyStream``: what has arrived and was not taken yet. Over 64 KiB of it, the peer is made to wait."""

    def __init__(self, source: Source) -> None:
        self.status = 0
        self.headers: Sequence[tuple[bytes, bytes]] = ()
        self.decoding: Decoding | None = None
        self._source = source
        self._chunks: deque[bytes] = deque()
        self._waiting = 0  # bytes
        self._ended = False
        self._error: BaseException | None = None
        self._wake: asyncio.Event = asyncio.Event()

    def append(self, chunk: bytes) -> None:
        """A piece has arrived."""
        self._chunks.append(chunk)
        self._waiting += len(chunk)
        if self._waiting > _AHEAD:
            self._source.pause()
        self._wake.set()

    def end(self, error: BaseException | None) -> None:
        """Nothing more will."""
        self._ended, self._error = True, error
        self._wake.set()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces, decoded. An error comes after what arrived before it."""
        return self._arrived() if self.decoding is None else decoded(self._arrived(), self.decoding)

    async def _arrived(self) -> AsyncIterator[bytes]:
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._waiting -= len(chunk)
                if self._waiting <= _AHEAD // 2 and not self._ended:  # or the source may be another's by now
                    self._source.resume()
                yield chunk
            if self._error is not None:
                raise self._error
            if self._ended:
                return
            self._wake.clear()
            await self._wake.wait()

    async def close(self) -> None:
        """Let go. A reply that was not read to its end takes its connection with it."""
        if not self._ended:
            self._ended = True
            self._source.abort()
