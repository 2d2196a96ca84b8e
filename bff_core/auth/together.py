"""Work that many requests wait for, and that is done once.

It belongs to none of them: it is a task of its own, without the deadline of whoever asked first, and goes on when all
of them have left, because the next one needs it too.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable
from contextvars import Context
from functools import partial
from math import isinf
from secrets import token_hex
from typing import Any, Final, TypeVar

from bff_core.context import RequestContext, current, enter
from bff_core.errors import GatewayError, IdentityUnavailable

__all__ = ["Together"]

_log = logging.getLogger("bff.auth")

T = TypeVar("T")

_PATIENCE: Final = 10.0  # seconds, for all the calls of one piece of work


class Together:
    """At most one piece of work for each key is under way."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    def under_way(self, key: Hashable) -> bool:
        """It was begun, and has not ended."""
        return key in self._tasks

    def begin(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """The task that does it. What it fails with, unless expected, is in the log when nobody waits for it too."""
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(_by_itself(work, current().request_id), context=Context())
            self._tasks[key] = task
            task.add_done_callback(partial(self._ended, key))
        return task

    async def result(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]], *, share: float = 1.0) -> T:
        """What it comes to. Raises what it failed with; ``IdentityUnavailable`` at the deadline of this request, or
        after that ``share`` of the time until then.
        """
        task = self.begin(key, work)
        until = current().until
        left = None if isinf(until) else max(0.0, until - asyncio.get_running_loop().time()) * share
        await asyncio.wait({task}, timeout=left)  # which leaves it alone when this request is cancelled
        if not task.done() or task.cancelled():
            raise IdentityUnavailable("it was not found out before the deadline of the request")
        error = task.exception()
        if error is None:
            return task.result()
        # a copy, because what is raised in two places would mix up where it came from
        raise error.copy() if isinstance(error, GatewayError) else error

    async def close(self, within: float = 0.0) -> None:
        """End what is under way, and what that begins, but for what is done in so many seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        while self._tasks:
            if loop.time() >= until:
                for task in self._tasks.values():
                    task.cancel()
            await asyncio.wait(self._tasks.values(), timeout=max(0.0, until - loop.time()) or None)

    def _ended(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._tasks[key]
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, GatewayError):
            _log.error("a bug, in work that many wait for", exc_info=error)


async def _by_itself(work: Callable[[], Coroutine[Any, Any, T]], request_id: str) -> T:
    now = asyncio.get_running_loop().time()
    # the id of whoever asked first, because that is where somebody begins to look who reads of it in the log
    enter(RequestContext(request_id or token_hex(8), now, now + _PATIENCE))
    return await work()
