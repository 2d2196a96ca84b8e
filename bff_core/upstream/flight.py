"""A call under way without a task.

The life of a call is an ordinary coroutine. A flight starts it on the stack of whoever asks and continues it on the
stack of whoever keeps the promise it awaits, in the context it was made with. So a page of seven calls costs no task.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Generic, TypeVar

from bff_core.errors import GatewayError
from bff_core.wire.promise import Promise

__all__ = ["Flight"]

T = TypeVar("T")

_EXPECTED = (GatewayError, asyncio.CancelledError)


def _nobody(_: object) -> None:
    """Everyone has left."""


class Flight(Generic[T]):
    """The one run of a coroutine that awaits promises, or futures of asyncio, and nothing that asks for a task."""

    _waiting: Any = None
    _landed = False
    error: BaseException | None = None
    """What it failed with."""
    _value: T

    def __init__(
        self, life: Coroutine[Any, Any, T], context: Context, passenger: Callable[["Flight[T]"], None]
    ) -> None:
        self._life = life
        self._run = context.run
        self._send: Callable[[None], Any] = life.send
        self._passenger = passenger

    def done(self) -> bool:
        """It has landed."""
        return self._landed

    def cancel(self) -> None:
        """Give up what it waits for. It has landed when this returns, unless it waits again while it cleans up."""
        if not self._landed and self._waiting is not None:
            self._waiting.cancel()

    def result(self) -> T:
        """What it came to."""
        if self.error is not None:
            try:
                raise self.error
            finally:
                del self  # or the error knows this flight, which knows the error
        return self._value

    def start(self, _: object = None) -> None:
        """Run until the first promise, or the next. ``passenger`` is told once it has landed, perhaps before that."""
        try:
            waiting = self._run(self._send, None)
        except StopIteration as end:
            self._value = end.value
            self._land()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  raised again where the result is asked for
            # what was expected is told in words; its traceback would keep this flight, and the flight it
            self.error = error.with_traceback(None) if isinstance(error, _EXPECTED) else error
            self._land()
        else:
            if isinstance(waiting, Promise):
                waiting._asyncio_future_blocking = False
                self._waiting = waiting
                waiting.then(self.start)
            else:
                self._wait_for(waiting)

    def _wait_for(self, waiting: Any) -> None:
        if waiting is None:  # a bare yield: asyncio.sleep(0)
            loop = asyncio.get_running_loop()
            turn: Promise[None] = Promise(loop, self._interrupt)
            self._waiting = turn
            loop.call_soon(turn.keep, None)
            turn.then(self.start)
        else:
            waiting._asyncio_future_blocking = False
            self._waiting = waiting
            waiting.add_done_callback(self.start)

    def _interrupt(self) -> None:
        # a bare yield hears of nothing by itself, so that what is sent to it next must be what ends it
        send, throw = self._send, self._life.throw

        def raise_there(_: None) -> Any:
            self._send = send
            return throw(asyncio.CancelledError())

        self._send = raise_there

    def _land(self) -> None:
        self._landed = True
        self._waiting = None
        passenger, self._passenger = self._passenger, _nobody  # or whoever keeps us and is told by us is a cycle
        passenger(self)
