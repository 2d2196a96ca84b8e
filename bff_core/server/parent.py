"""What a process that starts others owes them, and they owe it."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

__all__ = ["adopt_orphans", "end_with"]

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def adopt_orphans() -> None:
    """Make what children leave behind ours, on Linux: in a container there may be nobody else to notice its end."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with(parent: int) -> Callable[[], None] | None:
    """What a child does first, so that it is told to end when ``parent`` dies without a word; nothing but on Linux."""
    if _libc is None:
        return None
    prctl = _libc.prctl

    def in_the_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            os.kill(os.getpid(), signal.SIGTERM)

    return in_the_child
