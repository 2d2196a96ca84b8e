"""The side that asks: makes a call as its lot says, and holds what comes of it against what was meant."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from bff_core.errors import GatewayError
from bff_core.wire import Instance, Request, Wire, header
from bff_core.wire.promise import Promise
from tests.bff_core.flying import Flying
from tests.soak.wire.lot import Lot, content

__all__ = ["Caller", "SourceBroke", "Unexpected"]

_PLENTY = 10**6


class Unexpected(Exception):
    """A call ended as it must not."""


class _Wrong(Exception):
    """A reply, or a part of one, that is not the one that was meant."""


class SourceBroke(Exception):
    """What a source raises that breaks."""


class Caller:
    """Makes calls, many at a time. ``patience``: seconds that a call has whose lot does not say."""

    def __init__(self, wire: Wire, places: dict[str, Instance], patience: float) -> None:
        self._wire, self._places, self._patience = wire, places, patience
        self._time = asyncio.get_running_loop().time
        self.sources = 0
        """Bodies of requests that are being sent."""
        self.latest = 0.0
        """The moment at which every call that was made is too late."""

    async def end(self, lot: Lot) -> str:
        """How the call ended: ``reply``, ``part``, ``left``, or the name of what was raised."""
        run, over = _started(self._make(lot), flies=lot.manner.flies)
        leaving = _Leaving(run, lot.manner.leaves)
        try:
            await over
        finally:
            leaving.cancel()
            run.cancel()
        try:
            return run.result()
        except (GatewayError, ValueError, SourceBroke, asyncio.CancelledError) as error:
            error.__traceback__ = None  # as a flight does with what was expected
            return "left" if isinstance(error, asyncio.CancelledError) else type(error).__name__
        except Exception as error:
            raise Unexpected(f"{error!r} came of {lot}") from error

    async def _make(self, lot: Lot) -> str:
        headers = [(b"content-length", b"%d" % lot.question.size)] if lot.question.body == "sized" else []
        request = Request(lot.question.method, f"/{lot.number}", headers, self._body(lot))
        if lot.manner.how != "send":
            return await self._streamed(lot, request)
        place, until = self._places[lot.question.place], self._until(lot.manner.time)
        reply = await self._wire.send(place, request, until=until, max_body=_most(lot))
        _check_head(lot, reply.status, reply.headers)
        if reply.body != lot.body:
            raise _Wrong(f"body {reply.body[:100]!r}")
        return "reply"

    async def _streamed(self, lot: Lot, request: Request) -> str:
        place, until = self._places[lot.question.place], self._until(lot.manner.time)
        body_until = None if lot.manner.body_time is None else self._until(lot.manner.body_time)
        stream = await self._wire.stream(place, request, until=until, body_until=body_until, max_body=_most(lot))
        try:
            _check_head(lot, stream.status, stream.headers)
            if lot.manner.how == "unread":
                return "part"
            return await _read(lot, aiter(stream))
        finally:
            await stream.close()

    def _until(self, time: float | None) -> float:
        until = self._time() + (self._patience if time is None else time)
        self.latest = max(self.latest, until)
        return until

    def _body(self, lot: Lot) -> Any:
        if lot.piecewise:
            return self._source(lot)
        return content(lot.number, lot.question.size) if lot.question.size else b""

    async def _source(self, lot: Lot) -> AsyncIterator[bytes]:
        self.sources += 1
        try:
            for place, piece in enumerate(_pieces(lot)):
                if place == 1 and lot.fault == "source breaks":
                    raise SourceBroke
                if place == 1 and lot.fault == "source hangs":
                    await asyncio.get_running_loop().create_future()
                yield piece
                await _paused(lot.question.pause)
        finally:
            self.sources -= 1


def _most(lot: Lot) -> int:
    return lot.answer.size - 1 if lot.fault == "too long" else _PLENTY


def _pieces(lot: Lot) -> list[bytes]:
    whole = content(lot.number, lot.question.size)
    step = len(whole) // 3 + 1
    pieces = [whole[start : start + step] for start in range(0, len(whole), step)]
    if lot.fault == "source too short":
        del pieces[-1]
    if lot.fault == "source too long":
        pieces[-1] += b"!"
    return pieces


def _check_head(lot: Lot, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
    number = header(headers, b"x-number")
    if (status, number) != (lot.answer.status, str(lot.number) if lot.answer.named else None):
        raise _Wrong(f"status {status}, number {number}")


async def _read(lot: Lot, stream: AsyncIterator[bytes]) -> str:
    expected, got = lot.body, 0
    async with aclosing(stream) as pieces:
        async for piece in pieces:
            if piece != expected[got : got + len(piece)]:
                raise _Wrong(f"{piece[:100]!r} at {got}")
            got += len(piece)
            if lot.manner.how == "skim":
                return "part"
            await _paused(lot.manner.pause)
    if got != len(expected):
        raise _Wrong(f"{got} bytes")
    return "reply"


async def _paused(seconds: float | None) -> None:
    # nobody waits for something here: it is what makes one side slower than the other
    if seconds is not None:
        await asyncio.sleep(seconds)


class _Run(Protocol):
    def done(self) -> bool: ...
    def cancel(self) -> Any: ...
    def result(self) -> str: ...


def _started(work: Coroutine[Any, Any, str], *, flies: bool) -> tuple[_Run, Promise[None]]:
    """Under way, as a flight or as a task; the promise is kept when it is over.

    Who awaits it in a flight goes on at once, and asks for the next thing on the stack on which the last one ended.
    """
    if flies:
        flying = Flying(work)
        return flying, flying.over
    loop = asyncio.get_running_loop()
    over: Promise[None] = Promise(loop, lambda: None)
    task = loop.create_task(work)
    task.add_done_callback(lambda _: over.keep(None))
    return task, over


class _Leaving:
    """Ends ``run`` after so many seconds, or turns of the loop."""

    def __init__(self, run: _Run, after: float | int | None) -> None:
        self._run = run
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.Handle | None = None
        if isinstance(after, int):
            self._turn(after)
        elif after is not None:
            self._handle = self._loop.call_later(after, run.cancel)

    def _turn(self, left: int) -> None:
        if left:
            self._handle = self._loop.call_soon(self._turn, left - 1)
        else:
            self._run.cancel()

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
