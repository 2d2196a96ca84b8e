"""How much may be tried again, so that an outage is not multiplied by those who try again (a rate, as in Finagle)."""

from math import inf
from typing import Final

from bff_core.upstream.window import Window

__all__ = ["RetryBudget"]

_SECONDS: Final = 10.0
_SLICES: Final = 10
_MEMORY: Final = _SECONDS * (_SLICES + 1) / _SLICES
_AT_ONCE: Final = 5  # hedges in one second, of however small a budget


class RetryBudget:
    """Retries and hedges of the last ten seconds are at most ``share`` of the calls of those, or ``floor``.

    All of it may be spent at once, as when one instance breaks many connections. Where that is not enough it is an
    outage, and what comes back is paid out evenly until nobody was refused for a while, or all would try again in the
    same moments, every ten seconds.
    """

    __slots__ = ("_calls", "_due", "_floor", "_hedges", "_refused_at", "_share", "_spent", "called", "refused", "spent")

    def __init__(self, share: float, floor: int) -> None:
        self._share, self._floor = share, floor
        self._calls = Window(_SECONDS, _SLICES)
        self.called = self._calls.add
        """A call was made, at this moment; it pays in."""
        # a slice longer, because what is counted in whole slices must not be forgotten too soon
        self._spent = Window(_MEMORY, _SLICES + 1)
        self._hedges = Window(1.0)
        self._refused_at = self._due = -inf
        self.spent = self.refused = 0
        """Since the start."""

    def withdraw(self, now: float) -> bool:
        """Pay for one more attempt; false where it cannot be afforded."""
        if self.left(now) and (now - self._refused_at >= _MEMORY or self._is_due(now)):
            return self._pay(now)
        self._refused_at = now
        self.refused += 1
        return False

    def withdraw_evenly(self, now: float) -> bool:
        """Pay for a hedge; false also where those of the last second came to a fifth of the budget, or to five.

        Because calls that are slow all at once stand in a queue, and a hedge for each would make it twice as long.
        """
        if self.left(now) and self._hedges.count(now) < max(_AT_ONCE, self._granted(now) // 5):
            self._hedges.add(now)
            return self._pay(now)
        self.refused += 1
        return False

    def left(self, now: float) -> int:
        """How many more could be paid for."""
        return max(0, self._granted(now) - self._spent.count(now))

    def _pay(self, now: float) -> bool:
        self._spent.add(now)
        self.spent += 1
        return True

    def _is_due(self, now: float) -> bool:
        if now < self._due:
            return False
        pace = _SECONDS / self._granted(now)
        self._due = max(self._due, now - pace) + pace
        return True

    def _granted(self, now: float) -> int:
        return max(self._floor, int(self._share * self._calls.count(now)))
