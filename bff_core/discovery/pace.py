"""How soon what has ended is begun again."""

import random
from typing import Final

__all__ = ["AT_ONCE", "Pace"]

AT_ONCE: Final = 1.0
"""Seconds: what ends sooner has ended at once."""

_FIRST: Final = 0.1  # seconds
_LONGEST: Final = 5.0


class Pace:
    """At once, where it has lasted; after an ever longer pause, jittered, while it ends at once again and again."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def pause(self, lasted: float) -> float:
        """Seconds to wait now that something has ended that lasted so many."""
        if lasted >= AT_ONCE:
            self._in_a_row = 0
            return 0.0
        longest = min(_FIRST * 2.0 ** min(self._in_a_row, 16), _LONGEST)
        self._in_a_row += 1
        return random.uniform(longest / 2, longest)  # noqa: S311  no secret
