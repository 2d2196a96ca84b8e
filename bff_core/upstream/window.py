"""How often something happened of late."""

from collections import deque
from math import inf

__all__ = ["Window"]


class Window:
    """Counts what happens within the last ``seconds``, in ``slices`` of them, the oldest of which goes as a whole.

    So it looks back at least ``seconds - seconds / slices``, and at most ``seconds``; windows of one kind all look back
    equally far, because slices begin at the same moments for all of them. Moments are those of one clock that does
    not go backwards.
    """

    __slots__ = ("_current", "_end", "_index", "_past", "_slice", "_sum")

    def __init__(self, seconds: float, slices: int = 10) -> None:
        self._slice = seconds / slices
        self._past: deque[int] = deque([0] * (slices - 1), maxlen=slices - 1)
        self._sum = self._current = self._index = 0
        self._end = -inf

    def add(self, now: float) -> None:
        """It happened."""
        if now >= self._end:
            self._turn(now)
        self._current += 1

    def count(self, now: float) -> int:
        """How often it did."""
        if now >= self._end:
            self._turn(now)
        return self._sum + self._current

    def clear(self) -> None:
        """Forget all of it."""
        for place in range(len(self._past)):
            self._past[place] = 0
        self._sum = self._current = 0

    def _turn(self, now: float) -> None:
        index = int(now / self._slice)
        if now >= (index + 1) * self._slice:  # as floats have it
            index += 1
        slices, self._index = index - self._index, index
        self._end = (index + 1) * self._slice
        if slices > len(self._past):
            self.clear()
            return
        for _ in range(slices):
            self._past.append(self._current)
            self._current = 0
        self._sum = sum(self._past)
