"""Questions to where keys are kept: one at a time, each about all that was asked for meanwhile.

So a storm of keys that nobody has made costs a question at a time, and nobody who waits can harm one by leaving.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from datetime import UTC, datetime
from typing import Any, Final

from bff_core.auth.key_refusals import StoreFailed
from bff_core.errors import IdentityUnavailable

__all__ = ["Questions"]

_log = logging.getLogger("bff.keys")

_AT_ONCE: Final = 200  # ids of one question
_MOST: Final = 5000  # ids that wait, beside those of keys that there are; more are a storm
_REST: Final = 0.5  # seconds after a failure


class Questions:
    """``ask`` is given ids, learns what it can, and raises ``StoreFailed``."""

    def __init__(self, ask: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        self._ask = ask
        self._answers: dict[str, asyncio.Future[None]] = {}
        self._first: list[str] = []
        """Those of keys that there are, which are asked about before any that is ``_waiting``."""
        self._waiting: list[str] = []
        self._work: asyncio.Task[None] | None = None
        self._failure: str | None = None
        self._failing_since: str | None = None
        self._last_answer_at: str | None = None
        self._rests_until = 0.0

    async def answered(self, key_id: str, within: float, *, is_known: bool) -> None:
        """Wait until the question about this id was answered, or has failed, or so many seconds. Where there is such a
        key, that is asked before what may be made up.

        Raises ``IdentityUnavailable`` where it is not worth asking just now.
        """
        answer = self._about(key_id, is_known=is_known)
        if answer is None:
            raise IdentityUnavailable(f"keys: {self._failure or 'too many are asked for'}")
        await asyncio.wait([answer], timeout=within)  # which leaves the answer to the others

    def soon(self, key_id: str) -> None:
        """Ask about a key that there is, where it is worth asking, and before what may be made up. Nobody waits."""
        self._about(key_id, is_known=True)

    def why(self) -> str:
        """Why there was no answer."""
        return self._failure or "no answer in time"

    def lost(self, why: str) -> None:
        """Nobody answered, before anything was asked here."""
        if self._failing_since is None:
            self._failing_since = _now()
        self._failure = why

    def facts(self) -> Mapping[str, Any]:
        """How asking goes: for operators. Moments in ISO 8601."""
        return {
            "last_answer_at": self._last_answer_at,
            "failing_since": self._failing_since,
            "failure": self._failure,
        }

    async def close(self) -> None:
        """Stop asking. Whoever waits is told that there is no answer."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        self._end(list(self._answers))

    def _about(self, key_id: str, *, is_known: bool) -> asyncio.Future[None] | None:
        answer = self._answers.get(key_id)
        if answer is not None:
            return answer
        loop = asyncio.get_running_loop()
        if loop.time() < self._rests_until or (len(self._answers) >= _MOST and not is_known):
            return None
        answer = self._answers[key_id] = loop.create_future()
        (self._first if is_known else self._waiting).append(key_id)
        if self._work is None or self._work.done():
            # without the context of the request that happens to be first
            self._work = loop.create_task(self._questions(), context=Context())
        return answer

    async def _questions(self) -> None:
        while ids := self._next():
            try:
                await self._ask(ids)
            except StoreFailed as failure:
                self._failed(str(failure))
            except Exception as bug:  # noqa: BLE001  known keys are taken all the same
                _log.error("a bug in asking for keys", exc_info=bug)
                self._failed(f"a bug: {bug!r}")
            else:
                self._succeeded()
            finally:
                self._end(ids)

    def _next(self) -> list[str]:
        first, self._first = self._first[:_AT_ONCE], self._first[_AT_ONCE:]
        room = _AT_ONCE - len(first)
        others, self._waiting = self._waiting[:room], self._waiting[room:]
        return first + others

    def _failed(self, why: str) -> None:
        if self._failure is None:
            _log.warning("where keys are kept does not answer; those that are fresh are taken: %s", why)
        self.lost(why)
        # at random, because every gateway has lost it in the same moment
        self._rests_until = asyncio.get_running_loop().time() + random.uniform(_REST / 2, _REST)  # noqa: S311  no secret
        self._end(self._first + self._waiting)
        self._first, self._waiting = [], []

    def _succeeded(self) -> None:
        if self._failure is not None:
            _log.info("where keys are kept answers again")
        self._failure = self._failing_since = None
        self._last_answer_at = _now()

    def _end(self, ids: Sequence[str]) -> None:
        for key_id in ids:
            answer = self._answers.pop(key_id, None)
            if answer is not None and not answer.done():
                answer.set_result(None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
