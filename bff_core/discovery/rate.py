"""How often a source may be asked: at once as long as there is little news, at a steady rate where there is much."""

from math import inf

__all__ = ["Rate"]


class Rate:
    """A token bucket (as GCRA): ``burst`` questions at once, and then one in every ``interval`` seconds."""

    def __init__(self, *, burst: int, interval: float) -> None:
        self._ahead = (burst - 1) * interval
        self._interval = interval
        self._next = -inf

    def delay(self, now: float) -> float:
        """Seconds to wait before a question that is then asked; 0 as long as they come slowly enough."""
        due = max(self._next, now - self._ahead)
        self._next = due + self._interval
        return max(due - now, 0.0)
