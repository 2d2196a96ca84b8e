"""What a run is asked for."""

from dataclasses import dataclass, field

from rich.console import Console

from bench.cores import Cores, allotted

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How often, how long, where, and whom to tell meanwhile."""

    rounds: int = 5
    seconds: float = 5.0
    """Of load for each contender in a round; more where it would answer fewer than ``pages`` in that time."""

    pages: int = 1000
    only: tuple[str, ...] = ()
    """Words in the names of the contenders to measure beside ours; all of them where there are none."""

    console: Console = field(default_factory=Console)
    cores: Cores = field(default_factory=allotted)
