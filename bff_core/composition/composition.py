"""The page under composition: work starts when a part is named, and leaving the block waits for all of it.

A required part that fails ends the page: its siblings are cancelled and one plain error surfaces. An optional part
that fails in an expected way leaves its default and a reason. Anything unexpected is a bug and ends the page loudly.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable
from functools import lru_cache
from math import inf, isinf
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

from bff_core.composition.completeness import Completeness
from bff_core.composition.part import Part
from bff_core.context import RequestContext, current, enter
from bff_core.errors import GatewayError, MissingScope, Reason, TooLate, Unauthenticated
from bff_core.upstream import Call

__all__ = ["Composition"]

_log = logging.getLogger("bff.composition")

T = TypeVar("T")
D = TypeVar("D")

_SHARE_FOR_WAITING: Final = 0.85  # of the deadline, because answering takes time too
_CLOCK_STEP: Final = 0.001  # seconds: a timer may fire a little before its moment
_TOKEN: Final = re.compile(r"[a-z][a-z0-9_.-]*")  # of RFC 9651, in the case we write


class Composition:
    """One page. Deadline and wanted parts are those of the current request; a test passes its own context."""

    def __init__(self, context: RequestContext | None = None) -> None:
        self._context = context or current()
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._stop = self._context.started + (self._context.until - self._context.started) * _SHARE_FOR_WAITING
        self._parts: dict[str, Part[Any]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: Exception | None = None
        self._under_way = 0
        self._settled: asyncio.Future[None] | None = None
        self._due = inf
        self._timer: asyncio.TimerHandle | None = None
        self._leaving = self._ended = False
        self._completeness: Completeness | None = None

    def required(self, name: str, work: Awaitable[T], *, scope: str | None = None) -> Part[T]:
        """A part without which there is no page. It has all the time until the page stops waiting.

        With a ``scope``, who has it not gets no page: 401 where nobody is known, else 403.
        """
        return self._add(name, work, required=True, default=None, until=self._stop, scope=scope)

    @overload
    def optional(
        self, name: str, work: Awaitable[T], *, within: float | None = None, scope: str | None = None
    ) -> Part[T | None]: ...

    @overload
    def optional(
        self, name: str, work: Awaitable[T], *, within: float | None = None, default: D, scope: str | None = None
    ) -> Part[T | D]: ...

    def optional(
        self,
        name: str,
        work: Awaitable[Any],
        *,
        within: float | None = None,
        default: Any = None,
        scope: str | None = None,
    ) -> Part[Any]:
        """A part that the page can lose. It has ``within`` seconds, by default half of what the page has left.

        With a ``scope``, it is ``forbidden`` for who has it not, and its work never begins; ``unavailable`` where
        nobody can say who asks.
        """
        now = self._clock()
        until = (now + self._stop) / 2 if within is None else min(now + within, self._stop)
        return self._add(name, work, required=False, default=default, until=until, scope=scope)

    @property
    def completeness(self) -> Completeness:
        """Which parts are there, and why the others are not; for views that show it."""
        return self._completeness or Completeness(tuple([(part.name, part.missing) for part in self._parts.values()]))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving = True
        try:
            if error is None and self._under_way:
                self._settled = self._loop.create_future()
                await self._settled
        finally:
            await self._end()
        if error is None:
            if self._failure is not None:
                try:
                    raise self._failure
                finally:
                    self._failure = None  # or we keep it, its traceback this frame, and that us
            self._context.outcomes.update(self.completeness.parameters())

    def _add(
        self, name: str, work: Awaitable[T], *, required: bool, default: Any, until: float, scope: str | None
    ) -> Part[Any]:
        part: Part[Any] = Part(name, work, required=required, default=default, until=until, page=self)
        if name in self._parts or self._leaving or not _is_token(name):
            part.close()
            raise ValueError(f"part {name!r}: named twice, named after the end, or no lower-case token")
        self._parts[name] = part
        wanted = self._context.wanted
        if self._failure is not None:
            part.fail(self._failure)
        elif scope is not None and (refusal := self._refusal(scope)) is not None:
            part.close()
            self._lose(part, refusal)
        elif required or wanted is None or name in wanted:
            part.started = True
            self.begin(part)
        return part

    def _refusal(self, scope: str) -> GatewayError | None:
        """Why whoever asks may not see what needs this scope."""
        principal = self._context.principal
        if principal is None:
            if self._context.unsure is not None:
                return self._context.unsure.copy()
            return Unauthenticated(*self._context.challenges, detail=f"needs {scope}, and who asks is not known")
        return None if scope in principal.scopes else MissingScope(scope, challenges=self._context.challenges)

    def begin(self, part: Part[Any]) -> None:
        """See ``part.Page``."""
        self._under_way += 1
        work = part.work
        if isinstance(work, Call):
            part.work = None
            part.doing = work.fly(self._context, part.until, part, self._clock)
        else:
            part.doing = task = self._loop.create_task(self._run(part), name=f"part {part.name}")
            self._tasks.append(task)
        if part.until < self._due and not part.done:
            self._watch(part.until)

    def settled(self) -> None:
        """See ``part.Page``. Wakes whoever waits to leave, once nothing is under way any more."""
        self._under_way -= 1
        if not self._under_way and self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    async def _run(self, part: Part[Any]) -> None:
        enter(self._context.narrowed(self._clock(), part.until))  # in this task's own copy of the surroundings
        try:
            part.settle(await part.take())
        except BaseException as error:
            self.ended(part, error)
            if isinstance(error, asyncio.CancelledError):
                raise

    def ended(self, part: Part[Any], error: BaseException) -> None:
        """See ``part.Page``. What becomes of the part, and of the page."""
        match error:
            case GatewayError():
                self._lose(part, error)
            case TimeoutError():
                self._lose(part, TooLate(f"part {part.name} ran out of its own time"))
            case asyncio.CancelledError():
                if not part.done and not self._ended:
                    self._fail(RuntimeError(f"part {part.name} was cancelled from within"))
            case ExceptionGroup() if (expected := _expected(error)) is not None:
                self._lose(part, expected)
            case Exception():
                self._fail(error)
            case KeyboardInterrupt() | SystemExit():
                raise error
            case _:
                failure = RuntimeError(f"part {part.name} ended with {type(error).__name__}")
                failure.__cause__ = error
                self._fail(failure)

    def _lose(self, part: Part[Any], error: GatewayError) -> None:
        if part.required:
            self._fail(error)
        else:
            part.miss(error.reason)

    def _fail(self, error: Exception) -> None:
        if self._failure is not None or self._ended:
            if not isinstance(error, GatewayError):
                _log.error("a bug, after the page had ended", exc_info=error)
            return
        self._failure = error
        for part in self._parts.values():
            part.fail(self._failure)
        for part in self._parts.values():
            if part.doing is not asyncio.current_task():
                part.stop()

    def _watch(self, due: float) -> None:
        """See to it that the one timer fires when the next part is due."""
        if self._timer:
            self._timer.cancel()
        self._due, self._timer = due, self._loop.call_at(due, self._expire)

    def _expire(self) -> None:
        now = self._loop.time() + _CLOCK_STEP
        self._due = inf
        for part in self._parts.values():
            if part.started and part.until <= now and not part.done:
                self._lose(part, TooLate(f"part {part.name} was not there in time"))
                part.stop()
        due = min((part.until for part in self._parts.values() if part.started and not part.done), default=inf)
        if due < inf:
            self._watch(due)

    async def _end(self) -> None:
        self._ended = True
        if self._timer:
            self._timer.cancel()
            self._timer = None
        for part in self._parts.values():
            if part.work is not None:
                part.close()
            if not part.started:
                part.miss(Reason.SKIPPED)
        if self._under_way:
            for part in self._parts.values():
                part.stop()
        if self._tasks:
            await self._tasks_over()
            for part in self._parts.values():
                part.doing = None  # a task that was cancelled keeps its frame, and that the part
        self._completeness = self.completeness
        # or page, parts, their work and what became of it are a cycle, and live until the collector comes
        if self._failure is not None:
            for part in self._parts.values():
                part.forget_failure()
        self._parts.clear()
        self._tasks.clear()

    async def _tasks_over(self) -> None:
        # a flight that is cancelled has ended; a task has some cleaning up to do
        running = [task for task in self._tasks if not task.done()]
        if running:
            left = self._context.until - self._loop.time()
            _, stuck = await asyncio.wait(running, timeout=None if isinf(left) else max(0.0, left))
            for task in stuck:
                _log.warning("%s ignores its cancellation", task.get_name())


@lru_cache(maxsize=1024)
def _is_token(name: str) -> bool:
    return bool(_TOKEN.fullmatch(name))


def _expected(group: ExceptionGroup) -> GatewayError | None:
    """What a task group of a part failed with, where all of it was expected."""
    if group.split((GatewayError, TimeoutError))[1] is not None:
        return None
    leaf: BaseException = group
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf if isinstance(leaf, GatewayError) else TooLate("a part ran out of its own time")
