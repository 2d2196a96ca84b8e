"""A result that someone else will bring, awaited without a task.

Whoever drives a coroutine by hand gets the promise from ``send`` and says with ``then`` what to do when it is kept;
that runs at once, on the stack of whoever keeps it. In an asyncio task a promise behaves like a future.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, Generic, TypeVar

__all__ = ["Promise", "errand"]

T = TypeVar("T")


class Promise(Generic[T]):
    """Kept or broken once, awaited by one. ``forget`` is called when the one who waits gives up.

    What is a promise itself has ``_given_up`` instead, because a method of its own in it would be a cycle.
    """

    # on the class, because there is one for each call, and most of it stays as it is
    done = False
    _asyncio_future_blocking: bool  # not before it is awaited, or asyncio.gather takes it for a future of its own
    _then: Callable[[], object] | None = None
    _error: BaseException | None = None
    _value: T

    def __init__(self, loop: asyncio.AbstractEventLoop, forget: Callable[[], object] = lambda: None) -> None:
        self.loop = loop
        self._forget = forget

    def keep(self, value: T) -> None:
        """Bring the result, and go on with whoever waits for it."""
        if not self.done:
            self.done = True
            self._value = value
            then = self._then
            if then is not None:
                self._then = None  # a task waits with a function that knows us: a cycle
                then()

    def break_(self, error: BaseException) -> None:
        """Bring an error instead."""
        if not self.done:
            self.done = True
            self._error = error
            then = self._then
            if then is not None:
                self._then = None  # a task waits with a function that knows us: a cycle
                then()

    @property
    def kept(self) -> bool:
        """It has brought a result, and no error."""
        return self.done and self._error is None

    def then(self, go_on: Callable[[], object]) -> None:
        """What to do as soon as it is kept or broken."""
        if self.done:
            go_on()
        else:
            self._then = go_on

    def follow(self, other: "Promise[T]") -> None:
        """Be kept or broken as ``other`` is; giving up this one gives up that one."""

        def go_on() -> None:
            if other._error is None:
                self.keep(other._value)
            else:
                self.break_(other._error)

        def leave() -> None:
            other._then = None  # what becomes of it is nobody's affair any more
            other.cancel()

        self._forget = leave
        other.then(go_on)

    def result(self) -> T:
        """What was brought."""
        if self._error is None:
            return self._value
        try:
            raise self._error
        finally:
            del self  # or the error knows this promise, which knows the error

    def __await__(self) -> Generator["Promise[T]", None, T]:
        try:
            if not self.done:
                self._asyncio_future_blocking = True
                yield self  # where a task brings it, an error is raised here
            error = self._error
            if error is None:
                return self._value
            raise error
        finally:
            del self  # as in result
            error = None

    # as much of a future as an asyncio task asks for

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the task that waits."""
        return self.loop

    def add_done_callback(self, wake: Callable[[Any], object], *, context: Context | None = None) -> None:
        """Wake a task, in the next turn of the loop."""
        self.then(lambda: self.loop.call_soon(wake, self, context=context))

    def give_up(self, error: BaseException) -> bool:
        """Nobody waits any more, and ``error`` is what came of it; false when it is too late for that."""
        if self.done:
            return False
        self._given_up()
        self.break_(error)
        return True

    def _given_up(self) -> None:
        self._forget()

    def cancel(self, msg: Any = None) -> bool:
        """Whoever waited has given up; false when it is too late for that, and the task hears of it another way."""
        return self.give_up(asyncio.CancelledError(msg))


def _unclaimed(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # looked at, because nobody waits for it any more


def errand(work: Coroutine[Any, Any, T], *, unclaimed: Callable[[asyncio.Task[T]], object] = _unclaimed) -> Promise[T]:
    """The promise of what a task will come to, for work that cannot do without one. Giving up cancels the task.

    ``unclaimed`` is given the task when it has ended after that: it may have been quicker than its cancellation.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    promise: Promise[T] = Promise(loop, task.cancel)

    def ended(task: asyncio.Task[T]) -> None:
        if promise.done:
            unclaimed(task)
        elif task.cancelled():
            promise.break_(asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            promise.break_(error)
        else:
            promise.keep(task.result())

    task.add_done_callback(ended)
    return promise
