"""Python's garbage collector, told what a gateway knows about its garbage."""

import gc
from typing import Final

__all__ = ["tune"]

_THRESHOLDS: Final = (100_000, 50, 1000)


def tune() -> None:
    """Leave what was made at the start alone for good, and look for cycles a hundred times less often.

    A request leaves no cycles behind (a test holds that), so that there is little to find, and nothing in what was
    made at the start. Figures: docs/decisions/0007-the-garbage-collector.md.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
