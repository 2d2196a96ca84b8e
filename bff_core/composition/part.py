"""One piece of a page: a promise of a value, or a reason why it is missing."""

import asyncio
from collections.abc import Awaitable, Generator
from inspect import iscoroutine
from typing import Any, Generic, Protocol, TypeVar

from bff_core.errors import Reason
from bff_core.upstream import Flight

__all__ = ["Page", "Part"]

T = TypeVar("T")


class Page(Protocol):
    """What parts know of the page they are part of."""

    def begin(self, part: "Part[Any]") -> None:
        """Begin the work of a part."""
        ...

    def settled(self) -> None:
        """A part whose work was begun is done."""
        ...

    def ended(self, part: "Part[Any]", error: BaseException) -> None:
        """The work of a part ended with ``error``."""
        ...


class Part(Generic[T]):
    """A piece of a page. Other parts may await it; the page reads ``value`` when the composition is left.

    Awaiting a missing optional part gives its default. Awaiting any part of a page that has failed raises what the
    page failed with.
    """

    missing: Reason | None = None
    started = False
    done = False
    """It has its value, its reason, or its share in what the page failed with."""

    doing: "Flight[T] | asyncio.Task[None] | None" = None
    """What does its work."""

    _value: T
    _error: BaseException | None = None
    _awaited: asyncio.Future[None] | None = None

    def __init__(self, name: str, work: Awaitable[T], *, required: bool, default: T, until: float, page: Page) -> None:
        self.name = name
        self.required = required
        self.default = default
        self.until = until
        self.work: Awaitable[T] | None = work
        self._page = page

    @property
    def value(self) -> T:
        """What it came to; its default where it is missing. Only after the composition is left."""
        if not self.done:
            raise asyncio.InvalidStateError(f"part {self.name} is not there yet")
        if self._error is not None:
            raise self._error
        return self._value

    def __await__(self) -> Generator[Any, None, T]:
        self.start()
        if not self.done:
            if self._awaited is None:
                self._awaited = asyncio.get_running_loop().create_future()
            # shielded, or one awaiter that is cancelled takes it from the others
            yield from asyncio.shield(self._awaited).__await__()
        return self.value

    def start(self) -> None:
        """Begin the work, unless it was begun before."""
        if not self.started and not self.done:
            self.started = True
            self._page.begin(self)

    def take(self) -> Awaitable[T]:
        """Its work, for whoever does it; once."""
        assert self.work is not None
        work, self.work = self.work, None
        return work

    def landed(self, flight: Flight[T]) -> None:
        """See ``flight.Passenger``: its work was a call, which is over."""
        if flight.error is None:
            self.settle(flight.value)
        else:
            self._page.ended(self, flight.error)

    def stop(self) -> None:
        """Wait for its work no more."""
        if isinstance(self.doing, Flight):
            self.doing.leave(self)
        elif self.doing is not None:
            self.doing.cancel()

    def close(self) -> None:
        """Let go of work that was not wanted, or stopped before it ran, without a warning."""
        if iscoroutine(self.work):
            self.work.close()

    def settle(self, value: T) -> None:
        """It is there."""
        if not self.done:
            self._value = value
            self._end()

    def miss(self, reason: Reason) -> None:
        """It will not come; its default stands in."""
        if not self.done:
            self.missing = reason
            self._value = self.default
            self._end()

    def fail(self, error: BaseException) -> None:
        """The page has failed, and this part with it."""
        if not self.done:
            self._error = error
            self._end()

    def forget_failure(self) -> None:
        """Let go of what the page failed with, which is raised once, by the page."""
        self.doing = None
        if self._error is not None:
            self._error = asyncio.InvalidStateError(f"part {self.name} is not there: its page has failed")

    def _end(self) -> None:
        self.done = True
        if self._awaited is not None:
            self._awaited.set_result(None)
        if self.started:
            self._page.settled()
