"""A call under way without a task, and those who wait for it.

The life of a call is an ordinary coroutine. A flight starts it on the stack of whoever asks and continues it on the
stack of whoever keeps the promise it awaits, in the context it was made in. So a page of seven calls costs no task.
Equal calls board a flight that is in the air; each leaves alone, and with the last one the life ends.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable, Sequence
from contextvars import copy_context
from copy import copy
from typing import Any, Generic, Protocol, TypeVar

from bff_core.errors import GatewayError
from bff_core.wire import Request
from bff_core.wire.promise import Promise

__all__ = ["Flight", "Passenger"]

_log = logging.getLogger("bff.upstream")

T = TypeVar("T")

_EXPECTED = (GatewayError, asyncio.CancelledError)


class Passenger(Protocol):
    """Whoever waits for a flight."""

    def landed(self, flight: "Flight[Any]") -> None:
        """It is over: ``value`` or ``error`` is what it came to."""
        ...


class Flight(Generic[T]):
    """The one run of a coroutine that awaits promises, or futures of asyncio, and nothing that asks for a task.

    ``until`` is the latest moment that anyone waits for. In ``sky`` it is found under ``key`` by those who ask for the
    same, as long as they may board.
    """

    # on the class, because there is one for each call, and most of it stays as it is
    done = False
    lasting: Sequence[Request] = ()
    """What cannot be taken back once it was sent: then the life goes on when nobody waits for it any more."""
    error: BaseException | None = None
    """What it failed with."""
    value: T
    tried: tuple[Any, ...] = ()
    """What the life remembers of its attempts, in their order."""
    carrier: "Flight[Any] | None" = None
    """Another one, which brings what this one waits for, and is waited for as long."""

    _waiting: Any = None
    _others: list[Passenger] | None = None
    _sky: dict[Hashable, "Flight[Any]"] | None = None
    _key: Hashable = None

    def __init__(
        self,
        passenger: Passenger,
        until: float,
        clock: Callable[[], float],
        sky: dict[Hashable, "Flight[Any]"] | None = None,
        key: Hashable = None,
    ) -> None:
        self._passenger: Passenger | None = passenger
        self.until = until
        self.clock = clock
        if sky is not None:
            self._sky, self._key = sky, key
            sky[key] = self

    def start(self, life: Coroutine[Any, Any, T]) -> None:
        """Run it until the first promise. Passengers hear of its end, perhaps before this returns."""
        self._life = life
        self._send = life.send
        self._run = copy_context().run
        self.go_on()

    def board(self, passenger: Passenger, until: float) -> None:
        """One more waits, at most until then. Not after the landing."""
        if self._others is None:
            self._others = []
        self._others.append(passenger)
        self.until = max(self.until, until)
        if self.carrier is not None:
            self.carrier.until = max(self.carrier.until, until)

    def leave(self, passenger: Passenger) -> None:
        """It waits no more. Where it was the last, the life ends; it has ended when this returns, unless it waits
        again while it cleans up.
        """
        if self._others and passenger in self._others:
            self._others.remove(passenger)
        elif passenger is self._passenger:  # and has not left before, or what cleans up would be cancelled
            self._passenger = self._others.pop(0) if self._others else None
            if self._passenger is None and all(request.unsent for request in self.lasting):
                self._disappear()
                if self._waiting is not None and not self._waiting.cancel():
                    self._interrupt()  # it was brought in this very turn of the loop

    @property
    def deserted(self) -> bool:
        """Nobody waits for it any more."""
        return self._passenger is None

    def go_on(self, _: object = None) -> None:
        """Run until the next promise."""
        try:
            waiting = self._run(self._send, None)
        except StopIteration as end:
            self.value = end.value
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  raised again where the result is asked for
            # what was expected is told in words; its traceback would keep this flight, and the flight it
            self.error = error.with_traceback(None) if isinstance(error, _EXPECTED) else error
        else:
            if isinstance(waiting, Promise):
                waiting._asyncio_future_blocking = False
                self._waiting = waiting
                waiting.then(self.go_on)
            else:
                self._wait_for(waiting)
            return
        # out here, because what others raise when they hear of it would remember what this one came to
        self._land()

    def _wait_for(self, waiting: Any) -> None:
        if waiting is None:  # a bare yield: asyncio.sleep(0)
            loop = asyncio.get_running_loop()
            turn: Promise[None] = Promise(loop, self._interrupt)
            self._waiting = turn
            loop.call_soon(turn.keep, None)
            turn.then(self.go_on)
        else:
            waiting._asyncio_future_blocking = False
            self._waiting = waiting
            waiting.add_done_callback(self.go_on)

    def _interrupt(self) -> None:
        # a bare yield, or a future that is done, hears of nothing, so that what is sent next must be what ends it
        send, throw = self._send, self._life.throw

        def raise_there(_: None) -> Any:
            self._send = send
            return throw(asyncio.CancelledError())

        self._send = raise_there

    def _disappear(self) -> None:
        if self._sky is not None:
            del self._sky[self._key]
            self._sky = None

    def _land(self) -> None:
        self.done = True
        self._waiting = None
        self._disappear()
        passenger, self._passenger = self._passenger, None  # or whoever keeps us and is told by us is a cycle
        if passenger is not None:
            passenger.landed(self)
        elif self.error is not None and not isinstance(self.error, _EXPECTED):
            _log.error("a bug, in a call that nobody waited for any more", exc_info=self.error)
        if self._others:
            self._tell_others()

    def _tell_others(self) -> None:
        # each gets an error and a list of its own, because both change hands and are changed
        others, self._others = self._others or [], None
        for passenger in others:
            if isinstance(self.error, GatewayError):
                self.error = self.error.copy()
            elif self.error is None and isinstance(self.value, list | dict):
                self.value = copy(self.value)
            passenger.landed(self)
