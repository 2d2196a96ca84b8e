"""How long an upstream takes to answer of late, in percentiles, and whether it is worth asking at all.

Answers of the last ten seconds are counted in steps that are 9 % apart, one row of counters a second. A percentile is
worked out at most four times a second, and is that of the upper end of its step.
"""

from collections import deque
from math import inf, log2
from typing import Final

from bff_core.errors import DeadlinePassed

__all__ = ["Latency"]

_ENOUGH: Final = 20  # answers
_SECONDS: Final = 10
_REFRESH: Final = 0.25  # seconds
_SOON: Final = 0.01  # seconds, while too few are known
_STEPS: Final = 8  # to twice as long
_SHORTEST: Final = 2**-14  # seconds, about 0.06 ms
_LONGEST: Final = 63.9  # seconds, and what takes longer is in the last step too
_COUNTERS: Final = (14 + 6) * _STEPS
_OFFSET: Final = 14 * _STEPS


class Latency:
    """Live percentiles of one upstream's answers, in seconds; ``None`` while fewer than 20 are known."""

    __slots__ = ("_counters", "_end", "_p50", "_p95", "_p99", "_past", "_refresh_at", "_upstream")

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._past: deque[list[int]] = deque(maxlen=_SECONDS - 1)
        self._counters = [0] * _COUNTERS
        self._end = self._refresh_at = -inf
        self._p50: float | None = None
        self._p95: float | None = None
        self._p99: float | None = None

    def admit(self, left: float, now: float) -> None:
        """Refuse what cannot be answered within ``left`` seconds: ``DeadlinePassed``."""
        if not self.allows(left, now):
            raise DeadlinePassed(f"{self._upstream}: {left:.3f} s are left, and half of its answers take longer")

    def allows(self, left: float, now: float) -> bool:
        """Something can be answered within ``left`` seconds, as far as is known."""
        if now >= self._refresh_at:
            self._refresh(now)
        return left > 0 and (self._p50 is None or left >= self._p50)

    def record(self, ran: float, now: float) -> None:
        """It answered, after ``ran`` seconds."""
        if now >= self._end:
            self._turn(now)
        if _SHORTEST < ran < _LONGEST:
            self._counters[int(log2(ran) * _STEPS + _OFFSET)] += 1
        else:
            self._counters[0 if ran < 1 else -1] += 1

    def p50(self, now: float) -> float | None:
        """Half of the answers of the last ten seconds took longer."""
        if now >= self._refresh_at:
            self._refresh(now)
        return self._p50

    def p95(self, now: float) -> float | None:
        """One in twenty of them did."""
        if now >= self._refresh_at:
            self._refresh(now)
        return self._p95

    def last_p99(self, now: float) -> float | None:
        """One in a hundred did; of the last ten seconds in which enough were known."""
        if now >= self._refresh_at:
            self._refresh(now)
        return self._p99

    def _turn(self, now: float) -> None:
        if now - self._end >= _SECONDS:
            self._past.clear()
            self._counters = [0] * _COUNTERS
            self._end = now + 1.0
        while now >= self._end:
            self._past.append(self._counters)
            self._counters = [0] * _COUNTERS
            self._end += 1.0

    def _refresh(self, now: float) -> None:
        if now >= self._end:
            self._turn(now)
        counts = [sum(column) for column in zip(self._counters, *self._past, strict=True)]
        known = sum(counts)
        if known < _ENOUGH:
            self._p50 = self._p95 = None
            self._refresh_at = now + _SOON
            return
        self._refresh_at = now + _REFRESH
        self._p50, self._p95, self._p99 = (_upper_end(counts, share * known) for share in (0.5, 0.95, 0.99))


def _upper_end(counts: list[int], rank: float) -> float:
    passed = 0
    for step, count in enumerate(counts):
        passed += count
        if passed >= rank:
            return float(2 ** ((step + 1 - _OFFSET) / _STEPS))
    raise AssertionError("there are fewer than were counted")
