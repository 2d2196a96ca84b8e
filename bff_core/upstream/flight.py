"""A call under way without a task.

The life of a call is an ordinary coroutine. A flight starts it on the stack of whoever asks and continues it on the
stack of whoever keeps the promise it awaits, in the context it was made with. So a page of seven calls costs no task.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Generic, TypeVar

from bff_core.wire.promise import Promise

__all__ = ["Flight"]

T = TypeVar("T")


def _nobody(_: object) -> None:
    """Everyone has left."""


class Flight(Generic[T]):
    """The one run of a coroutine that awaits promises, or futures of asyncio, and nothing that asks for a task."""

    __slots__ = ("_context", "_error", "_landed", "_life", "_passenger", "_value", "_waiting")

    def __init__(
        self, life: Coroutine[Any, Any, T], context: Context, passenger: Callable[["Flight[T]"], None]
    ) -> None:
        self._life = life
        self._context = context
        self._passenger = passenger
        self._waiting: Any = None
        self._landed = False
        self._value: T | None = None
        self._error: BaseException | None = None

    def start(self) -> None:
        """Run until the first promise. ``passenger`` is called once it has landed, perhaps before this returns."""
        self._go_on()

    def done(self) -> bool:
        """It has landed."""
        return self._landed

    def cancel(self) -> None:
        """Give up what it waits for. It has landed when this returns, unless it waits again while it cleans up."""
        if not self._landed and self._waiting is not None:
            self._waiting.cancel()

    def result(self) -> T:
        """What it came to."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # landed with a T

    def _go_on(self, _: object = None) -> None:
        try:
            waiting = self._context.run(self._life.send, None)
        except StopIteration as end:
            self._land(end.value, None)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  raised again where the result is asked for
            self._land(None, error)
        else:
            self._wait_for(waiting)

    def _wait_for(self, waiting: Any) -> None:
        if waiting is None:  # a bare yield: asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(self._go_on)
            return
        waiting._asyncio_future_blocking = False
        self._waiting = waiting
        if isinstance(waiting, Promise):
            waiting.then(self._go_on)
        else:
            waiting.add_done_callback(self._go_on)

    def _land(self, value: T | None, error: BaseException | None) -> None:
        self._landed, self._waiting = True, None
        self._value, self._error = value, error
        passenger, self._passenger = self._passenger, _nobody  # or whoever keeps us and is told by us is a cycle
        passenger(self)
