"""One piece of a page: a promise of a value, or a reason why it is missing."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from inspect import iscoroutine
from typing import Any, Generic, TypeVar

from bff_core.errors import Reason

__all__ = ["Part"]

T = TypeVar("T")


class Part(Generic[T]):
    """A piece of a page. Other parts may await it; the page reads ``value`` when the composition is left.

    Awaiting a missing optional part gives its default. Awaiting any part of a page that has failed raises what the
    page failed with.
    """

    __slots__ = ("_begin", "_done", "default", "missing", "name", "required", "started", "until", "work")

    def __init__(
        self,
        name: str,
        work: Awaitable[T],
        *,
        required: bool,
        default: T,
        until: float,
        begin: Callable[["Part[Any]"], None],
    ) -> None:
        self.name = name
        self.required = required
        self.default = default
        self.until = until
        self.missing: Reason | None = None
        self.started = False
        self.work: Awaitable[T] | None = work
        self._begin = begin
        self._done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    @property
    def done(self) -> bool:
        """It has its value, its reason, or its share in what the page failed with."""
        return self._done.done()

    @property
    def value(self) -> T:
        """What it came to; its default where it is missing. Only after the composition is left."""
        return self._done.result()

    def __await__(self) -> Generator[Any, None, T]:
        self.start()
        return asyncio.shield(self._done).__await__()  # or one awaiter that is cancelled takes it from the others

    def start(self) -> None:
        """Begin the work, unless it was begun before."""
        if not self.started and not self.done:
            self.started = True
            self._begin(self)

    def take(self) -> Awaitable[T]:
        """Its work, for whoever does it; once."""
        assert self.work is not None
        work, self.work = self.work, None
        return work

    def close(self) -> None:
        """Let go of work that was not wanted, or stopped before it ran, without a warning."""
        if iscoroutine(self.work):
            self.work.close()

    def settle(self, value: T) -> None:
        """It is there."""
        if not self.done:
            self._done.set_result(value)

    def miss(self, reason: Reason) -> None:
        """It will not come; its default stands in."""
        if not self.done:
            self.missing = reason
            self._done.set_result(self.default)

    def fail(self, error: BaseException) -> None:
        """The page has failed, and this part with it."""
        if not self.done:
            self._done.set_exception(error)
            self._done.exception()  # looked at, because nobody may be waiting for this one
