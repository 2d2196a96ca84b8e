"""Keeps what a source has said last, and reads it anew when it has failed."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from bff_core.discovery.contract import Member, Source, SourceFailed
from bff_core.discovery.pace import AT_ONCE

__all__ = ["Watch"]

_log = logging.getLogger("bff.discovery")

_FIRST_PAUSE: Final = 0.5  # seconds
_LONGEST_PAUSE: Final = 30.0


class Watch:
    """Tells ``changed`` of each set that differs from the one before. A source that fails changes nothing.

    Sets are without duplicates, in the order of the source. ``source`` is closed when ``run`` ends.
    """

    def __init__(self, upstream: str, source: Source, changed: Callable[[Sequence[Member]], object]) -> None:
        self._upstream, self._source, self._changed = upstream, source, changed
        self._known: tuple[Member, ...] = tuple(source.known)
        self.answered = asyncio.Event()
        """The source has said something, or has failed to."""
        self._last_answer: str | None = None
        self._failing_since: str | None = None
        self._failure: str | None = None
        self._failures = self._changes = 0
        self._well_since: float | None = None

    async def run(self) -> NoReturn:
        """Watch until cancelled."""
        try:
            while True:
                try:
                    async with aclosing(self._source.sets()) as sets:
                        async for found in sets:
                            self._learn(found)
                    raise SourceFailed("ended without a reason")
                except SourceFailed as failure:
                    self._failed(str(failure))
                except Exception as bug:  # noqa: BLE001  the gateway goes on with what it knows
                    _log.error("%s: a bug in its source", self._upstream, exc_info=bug)
                    self._failed(f"a bug: {bug!r}")
                await asyncio.sleep(_pause(self._failures))
        finally:
            await self._source.close()

    def facts(self) -> dict[str, Any]:
        """How the source is: for operators. Moments in ISO 8601."""
        return {
            "last_answer_at": self._last_answer,
            "failing_since": self._failing_since,
            "failure": self._failure,
            "changes": self._changes,
        }

    def _learn(self, found: Sequence[Member]) -> None:
        members = tuple({member.instance: member for member in found}.values())
        self._last_answer = _now()
        if self._failing_since is not None:
            _log.info("%s: its source answers again", self._upstream)
        self._failing_since = self._failure = None
        if self._well_since is None:
            self._well_since = asyncio.get_running_loop().time()
        if set(members) != set(self._known):
            self._changed(members)
            self._known = members  # not before, so that who stumbles over it is told again
            self._changes += 1
        self.answered.set()

    def _failed(self, why: str) -> None:
        # not with the first answer, or what answers and fails at once would be asked without end
        if self._well_for() >= AT_ONCE:
            self._failures = 0
        self._well_since = None
        self._failures += 1
        self._failure = why
        if self._failing_since is None:
            self._failing_since = _now()
            _log.warning("%s: its source fails, and what is known stays: %s", self._upstream, why)
        self.answered.set()

    def _well_for(self) -> float:
        return 0.0 if self._well_since is None else asyncio.get_running_loop().time() - self._well_since


def _pause(failures: int) -> float:
    # full jitter, because every gateway has lost the same source in the same moment
    longest = min(_FIRST_PAUSE * 2.0 ** min(failures - 1, 16), _LONGEST_PAUSE)
    return random.uniform(longest / 10, longest)  # noqa: S311  no secret


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
