"""The body of a request on its way out, piece by piece: no faster than the peer takes it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from typing import Protocol

__all__ = ["Sink", "Upload", "measured"]


class Sink(Protocol):
    """Where the body goes. None of these is called once the upload was stopped."""

    def write(self, data: bytes) -> None:
        """Send this."""
        ...

    def uploaded(self) -> None:
        """All of it was sent."""
        ...

    def upload_failed(self, error: Exception) -> None:
        """It cannot be sent to its end, so what was sent is no request."""
        ...


class Upload:
    """Sends ``body``: exactly ``length`` bytes, or in chunks where that is ``None``.

    A source needs a task, because it awaits what it wants to. Raises nothing; see ``Sink``.
    """

    def __init__(self, sink: Sink, body: AsyncIterable[bytes], length: int | None) -> None:
        self._sink = sink
        self._body = body
        self._length = length
        self._writable = asyncio.Event()
        self._writable.set()
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def waits_for_source(self) -> bool:
        """It is not the peer who keeps it from going on."""
        return self._writable.is_set()

    def pause(self) -> None:
        """The peer takes no more for now."""
        self._writable.clear()

    def resume(self) -> None:
        """It does."""
        self._writable.set()

    def stop(self) -> None:
        """Nobody wants the rest. The source is closed."""
        self._task.cancel()
        del self._task  # which knows us, and keeps what ended it

    async def _run(self) -> None:
        try:
            async with aclosing(measured(self._body, self._length)) as pieces:
                async for piece in pieces:
                    await self._writable.wait()
                    self._sink.write(piece if self._length is not None else b"%x\r\n%s\r\n" % (len(piece), piece))
            if self._length is None:
                self._sink.write(b"0\r\n\r\n")
        except Exception as error:  # noqa: BLE001  raised again where the reply is waited for
            self._sink.upload_failed(error)
        else:
            self._sink.uploaded()


async def measured(body: AsyncIterable[bytes], length: int | None) -> AsyncGenerator[bytes, None]:
    """The pieces of ``body`` that are not empty, and ``ValueError`` where they are not ``length`` bytes in all.

    ``body`` is closed behind them where it can be, whatever happens.
    """
    sent = 0
    pieces = aiter(body)
    try:
        async for piece in pieces:
            sent += len(piece)
            if length is not None and sent > length:
                raise ValueError(f"the body of a request is longer than its content-length of {length}")
            if piece:  # an empty chunk would be the last one
                yield piece
        if length is not None and sent < length:
            raise ValueError(f"the body of a request ends after {sent} of {length} bytes")
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
