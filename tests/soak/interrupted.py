"""Work that is cancelled at one of its awaits, exactly."""

import asyncio
from collections.abc import Coroutine, Generator
from enum import Enum
from typing import Any

__all__ = ["Interruption", "ended", "interrupted"]


class Interruption(Enum):
    """When: while it waits, or when what it waits for has come and it is about to go on."""

    WAITING = "waiting"
    READY = "ready"


async def interrupted(work: Coroutine[Any, Any, None], step: int, when: Interruption) -> asyncio.Task[None]:
    """The task that did ``work``, at an end: cancelled at its await of that number, from 0 on, if it has so many."""
    return await ended(asyncio.create_task(_run(_Stepping(work, step, when))))


async def ended(task: asyncio.Task[None]) -> asyncio.Task[None]:
    """The task, at an end; where nobody waits for that any more, it is cancelled."""
    try:
        await asyncio.wait([task])
    finally:
        if task.cancel():
            await asyncio.wait([task])
    return task


async def _run(stepping: "_Stepping") -> None:
    await stepping


class _Stepping:
    def __init__(self, work: Coroutine[Any, Any, None], step: int, when: Interruption) -> None:
        self._work, self._left, self._when = work, step, when

    def __await__(self) -> Generator[Any, Any, None]:
        go_on: Any = self._work.send
        value: Any = None
        while True:
            try:
                awaited = go_on(value)
            except StopIteration:
                return
            if self._left == 0:
                self._cancel_over(awaited)
            self._left -= 1
            try:
                value = yield awaited
                go_on = self._work.send
            except BaseException as error:  # noqa: BLE001  which is for who does the work
                value, go_on = error, self._work.throw

    def _cancel_over(self, awaited: asyncio.Future[Any] | None) -> None:
        task = asyncio.current_task()
        assert task
        if awaited is None or self._when is Interruption.WAITING:
            asyncio.get_running_loop().call_soon(task.cancel)
        else:
            awaited.add_done_callback(lambda _: task.cancel())  # before the task itself hears of it
