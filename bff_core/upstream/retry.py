"""Whether a call that failed is tried again, and how long before: full jitter, paid from a budget.

tenacity drives the pauses. A call that succeeds at once never comes here, and each call that fails has an instance of
its own, because a shared one mixes up whose turn it is (jd/tenacity#93).
"""

import asyncio
import random
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt

from bff_core.upstream.budget import RetryBudget
from bff_core.upstream_settings import RetrySettings

__all__ = ["Retries"]


_PATIENCE: Final = 10.0  # seconds: the longest pause of a call that has no deadline


class _Failed(Exception):
    """What tenacity is told: not which failure, because with its traceback that would be a cycle."""


_FAILED: Final = _Failed()


class Retries:
    """Those of one call, from its first failure on."""

    def __init__(self, settings: RetrySettings, budget: RetryBudget) -> None:
        self._terms = terms = _Terms(settings, budget)
        self._attempts = aiter(
            AsyncRetrying(sleep=_pause, wait=terms.wait, stop=terms.stop, retry_error_callback=lambda _: None)
        )

    async def again(self, *, left: float, retry_after: float | None) -> bool:
        """Wait as long as is right before one more attempt; false, at once, where there shall be none.

        ``left`` is what the call has, ``retry_after`` what the upstream asks for, both in seconds.
        """
        self._terms.left, self._terms.retry_after = left, retry_after
        attempt = await anext(self._attempts)
        attempt.__exit__(_Failed, _FAILED, None)
        return await anext(self._attempts, None) is not None


class _Terms:
    def __init__(self, settings: RetrySettings, budget: RetryBudget) -> None:
        self._settings, self._budget = settings, budget
        self._enough = stop_after_attempt(1 + settings.attempts)
        self.left = 0.0
        self.retry_after: float | None = None

    def wait(self, state: RetryCallState) -> float:
        settings = self._settings
        longest = min(settings.first_pause * 2.0 ** (state.attempt_number - 1), settings.longest_pause)
        return random.uniform(0, longest) + (self.retry_after or 0.0)  # noqa: S311  no secret

    def stop(self, state: RetryCallState) -> bool:
        # the budget last, because asking it is paying
        if self._enough(state) or state.upcoming_sleep >= min(self.left, _PATIENCE):
            return True
        return not self._budget.withdraw(asyncio.get_running_loop().time())


async def _pause(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    timer = loop.call_later(seconds, _wake, over)
    try:
        await over
    finally:
        timer.cancel()


def _wake(over: asyncio.Future[None]) -> None:
    if not over.done():  # given up in the very turn in which it ends
        over.set_result(None)
