"""Work that is under way as calls of pages are: in a flight, without a task."""

import asyncio
from collections.abc import Awaitable
from math import inf
from time import monotonic
from typing import Any, Generic, TypeVar

from bff_core.upstream.flight import Flight
from bff_core.wire.promise import Promise

__all__ = ["Flying"]

T = TypeVar("T")


class Flying(Generic[T]):
    """A flight and the one who waits for it. ``over`` is kept when its work has ended, however it ended."""

    def __init__(self, work: Awaitable[T]) -> None:
        self.over: Promise[None] = Promise(asyncio.get_running_loop(), lambda: None)
        self._flight = Flight[T](self, inf, monotonic)
        self._flight.start(_told(work, self.over))

    def landed(self, flight: Flight[Any]) -> None:
        """See ``flight.Passenger``."""

    def done(self) -> bool:
        return self._flight.done

    def cancel(self) -> None:
        self._flight.leave(self)

    def result(self) -> T:
        if self._flight.error is not None:
            try:
                raise self._flight.error
            finally:
                del self  # or the error knows this, which knows the error
        return self._flight.value


async def _told(work: Awaitable[T], over: Promise[None]) -> T:
    try:
        return await work
    finally:
        asyncio.get_running_loop().call_soon(over.keep, None)  # when the flight has landed too
