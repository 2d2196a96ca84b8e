"""Many calls of one kind, made in one turn of the loop, that go out as one.

A service client declares the bulk form of a call once. Whoever asks for a single thing waits for the next turn of the
loop; if others have asked too, by whatever page, all of them get theirs from one call.
"""

import asyncio
from collections.abc import Callable, Hashable
from contextvars import copy_context
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from bff_core.context import RequestContext
from bff_core.errors import BadReply, BadStatus, GatewayError, InvalidRequest, NotFound
from bff_core.upstream.call import Call
from bff_core.upstream.flight import Flight
from bff_core.wire.promise import Promise

__all__ = ["ALONE", "Gathering"]

T = TypeVar("T")

_MOST: Final = 100  # ids in one call
_LONGEST: Final = 4000  # characters of them as they are written, because services take targets of 8 KiB

ALONE: Final = object()
"""What is brought to one that shall go by itself."""


class Gathering(Generic[T]):
    """Those who wait for the next turn of the loop, to be asked for by ``form``, and told apart by ``name``."""

    def __init__(self, form: Callable[[list[str]], Call[list[T]]], name: Callable[[T], str]) -> None:
        self._form, self._name = form, name
        self._waiting: dict[Hashable, list[_Seat[T]]] = {}

    def seat(self, one: str, context: RequestContext, flight: Flight[T], who: Hashable) -> "Promise[T | object]":
        """The promise of the thing called ``one``, or of ``ALONE``. Only those of one ``who`` are asked for together.

        ``flight`` is what waits for it. Brings ``NotFound`` where it is not among the answers, and what the call for
        all of them has failed with.
        """
        loop = asyncio.get_running_loop()
        seat: _Seat[T] = _Seat(loop, one, context, flight)
        if not self._waiting:
            loop.call_soon(self._depart)
        self._waiting.setdefault(who, []).append(seat)
        return seat

    def _depart(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for seats in waiting.values():
            for group in _groups([seat for seat in seats if not seat.done]):
                _Tour(self._form, self._name, group).start()


class _Seat(Promise[Any], Generic[T]):
    """One that waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop, one: str, context: RequestContext, flight: Flight[T]) -> None:
        super().__init__(loop)
        self.one, self.context, self.flight = one, context, flight
        self.written = len(quote(one, safe=""))  # here, where what cannot be written is the fault of this one
        self.surroundings = copy_context()
        self.tour: _Tour[T] | None = None

    def _given_up(self) -> None:
        if self.tour is not None:
            self.tour.left()


class _Tour(Generic[T]):
    """The one call for some of them; who is alone goes by itself."""

    def __init__(
        self, form: Callable[[list[str]], Call[list[T]]], name: Callable[[T], str], seats: list[_Seat[T]]
    ) -> None:
        self._form, self._name, self._seats = form, name, seats
        self._flight: Flight[list[T]] | None = None

    def start(self) -> None:
        """Ask."""
        if len(self._seats) == 1:
            self._all()[0].keep(ALONE)
            return
        for seat in self._seats:
            seat.tour = self
        # those of the first, as its request id is; by default they are those of whoever came first of all, for anyone
        # (a copy, because nobody can be in one twice, and what fails at once is asked for again within this)
        self._seats[0].surroundings.copy().run(self._ask)

    def _ask(self) -> None:
        first, until = self._seats[0], max(seat.flight.until for seat in self._seats)
        try:
            fly = self._form(list(dict.fromkeys(seat.one for seat in self._seats))).fly
        except Exception as error:  # noqa: BLE001  raised again by everyone who waits
            failure = error
        else:
            self._flight = flight = fly(first.context, until, self, first.loop.time)
            for seat in self._seats:
                seat.flight.carrier = flight
            return
        self._failed(failure)  # out here, because what others raise would remember it, with the frames it came from
        del failure  # which knows this frame

    def left(self) -> None:
        """One of them waits no more."""
        # the one that leaves is not done yet
        if self._flight is not None and sum(not seat.done for seat in self._seats) <= 1:
            self._flight.leave(self)
            self._seats = []

    def landed(self, flight: Flight[list[T]]) -> None:
        """See ``flight.Passenger``."""
        error = flight.error
        if error is None:
            self._hand_out(flight.value)
        else:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if _is_about_one(error):
            self._halve()
        else:
            self._fail(error)

    def _halve(self) -> None:
        # not each by itself at once, or one name that is refused makes a hundred calls of one
        seats = [seat for seat in self._all() if not seat.done]
        for half in (seats[: len(seats) // 2], seats[len(seats) // 2 :]):
            if half:
                _Tour(self._form, self._name, half).start()

    def _hand_out(self, things: list[T]) -> None:
        try:
            found = {self._name(thing): thing for thing in things}
        except Exception as error:  # noqa: BLE001  raised again by everyone who waits
            self._fail(error)
            return
        for seat in self._all():
            if seat.one in found:
                seat.keep(found[seat.one])
            else:
                seat.break_(NotFound(f"{seat.one!r} is not among those that were asked for"))

    def _fail(self, error: BaseException) -> None:
        for seat in self._all():
            seat.break_(error.copy() if isinstance(error, GatewayError) else error)

    def _all(self) -> list[_Seat[T]]:
        # for good, because who leaves while the others are told must not end anything
        seats, self._seats = self._seats, []
        for seat in seats:
            seat.flight.carrier = None  # or it keeps what all of them were given
        return seats


def _groups(seats: list[_Seat[T]]) -> list[list[_Seat[T]]]:
    groups: list[list[_Seat[T]]] = []
    length = 0
    for seat in seats:
        length += seat.written
        if not groups or length > _LONGEST or len(groups[-1]) == _MOST:
            groups.append([])
            length = seat.written
        groups[-1].append(seat)
    return groups


def _is_about_one(error: BaseException) -> bool:
    """One of them may have spoilt it for all, so that each is asked for by itself."""
    match error:
        case NotFound() | InvalidRequest() | BadReply():
            return True
        case BadStatus(upstream_status=status):
            return status < 500
        case _:
            return False
