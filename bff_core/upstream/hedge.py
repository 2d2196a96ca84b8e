"""A second attempt beside a call that takes long: the first success wins, and the other is given up."""

import asyncio
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, TypeVar

from bff_core.upstream.flight import Flight
from bff_core.upstream.verdict import Verdict, judge
from bff_core.wire.promise import Promise

__all__ = ["Race"]

T = TypeVar("T")


class Race(Promise[T]):
    """The promise of what the quicker of at most two attempts comes to.

    The second one starts ``after`` seconds, where ``afford`` agrees then. A first one that fails before is a failure,
    and waits for nothing; one that fails later waits for the second, and where both have failed, it is told.
    ``lost`` is called where the second one wins while the first is still under way.
    """

    def __init__(
        self,
        first: Coroutine[Any, Any, T],
        second: Callable[[], Coroutine[Any, Any, T]],
        after: float,
        afford: Callable[[], bool],
        lost: Callable[[], object],
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop)
        self._second, self._afford, self._lost = second, afford, lost
        self._flying: list[Flight[T]] = []
        self._first: Flight[T] | None = None
        self._failure: BaseException | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._start(first)
        if not self.done:
            self._timer = loop.call_later(after, self._hedge)

    def landed(self, flight: Flight[T]) -> None:
        """See ``flight.Passenger``."""
        self._flying.remove(flight)
        if flight.error is None or judge(flight.error) is Verdict.SUCCESS:  # that there is nothing is an answer too
            self._win(flight)
            return
        # of two that have failed the first one tells more: the second may never have been sent
        if self._failure is None or flight is self._first:
            self._failure = flight.error
        if not self._flying:
            failure = self._failure
            assert failure is not None
            self._end()
            self.break_(failure)

    def _win(self, flight: Flight[T]) -> None:
        if flight is not self._first and self._flying:
            self._lost()
        self._end()
        if flight.error is None:
            self.keep(flight.value)
        else:
            self.break_(flight.error)

    def _hedge(self) -> None:
        if self._flying and self._afford():
            self._start(self._second())

    def _start(self, life: Coroutine[Any, Any, T]) -> None:
        flight: Flight[T] = Flight(self, inf, self.loop.time)
        self._first = self._first or flight
        self._flying.append(flight)
        flight.start(life)

    def _given_up(self) -> None:
        self._end()

    def _end(self) -> None:
        self._first = self._failure = None
        if self._timer is not None:
            self._timer.cancel()
        flying, self._flying = self._flying, []
        for flight in flying:
            flight.leave(self)
