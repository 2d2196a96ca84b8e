"""What a run is asked for."""

import sys
from dataclasses import dataclass, field

from rich.console import Console

from bench.cores import Cores, allotted

__all__ = ["Plan"]


def _console() -> Console:
    wide = None if sys.stdout.isatty() else 160  # a file has no width, and a table needs one
    return Console(width=wide, highlight=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """How often, how long, where, and whom to tell meanwhile."""

    rounds: int = 5
    seconds: float = 5.0
    """Of load for each contender in a round; more where it would answer fewer than ``pages`` in that time."""

    pages: int = 1000
    only: tuple[str, ...] = ()
    """Words in the names of the contenders to measure beside ours; all of them where there are none."""

    console: Console = field(default_factory=_console)
    cores: Cores = field(default_factory=allotted)
