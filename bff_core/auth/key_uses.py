"""When keys were used last, written down once a minute, many at a time."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from time import time
from typing import Final

from bff_core.auth.key_refusals import StoreFailed
from bff_core.auth.key_store import Keeps

__all__ = ["KeyUses"]

_log = logging.getLogger("bff.keys")

_EVERY: Final = 60.0  # seconds


class KeyUses:
    """Notes uses at once, and tells ``store`` of them later."""

    def __init__(self, store: Keeps, wall: Callable[[], float] = time) -> None:
        self._store, self._wall = store, wall
        self._moments: dict[str, float] = {}
        self._work: asyncio.Task[None] | None = None
        self._fails = False

    def note(self, key_id: str, now: float) -> None:
        """It was used now, a moment of the loop's clock."""
        self._moments[key_id] = now

    async def start(self) -> None:
        """Begin to write."""
        self._work = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what is left, as far as anybody takes it."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        await self._write()

    async def _run(self) -> None:
        await asyncio.sleep(random.uniform(0, _EVERY))  # noqa: S311  or all processes would write at once
        while True:
            await self._write()
            await asyncio.sleep(_EVERY)

    async def _write(self) -> None:
        moments, self._moments = self._moments, {}
        if not moments:
            return
        try:
            await self._tell(moments)
            self._fails = False
        except StoreFailed as failure:
            if not self._fails:
                _log.warning("the uses of keys cannot be written, and are kept for later: %s", failure)
            self._fails = True

    async def _tell(self, moments: Mapping[str, float]) -> None:
        behind = self._wall() - asyncio.get_running_loop().time()
        try:
            await self._store.note_uses({key_id: int(moment + behind) for key_id, moment in moments.items()})
        except BaseException:  # a failure, and the end of the gateway in the middle, which writes once more
            self._moments = {**moments, **self._moments}
            raise
