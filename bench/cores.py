"""Which core runs what: the gateway has one to itself, and the load and the upstream share another."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Cores", "allotted", "pinned"]


@dataclass(frozen=True, slots=True)
class Cores:
    """The cores of the two sides; ``None`` where there is only one, and nothing is pinned."""

    gateway: int | None
    load: int | None


def allotted() -> Cores:
    """The first two of the cores that we may use."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2 or not shutil.which("taskset"):
        return Cores(None, None)
    return Cores(usable[0], usable[1])


def pinned(core: int | None, words: Sequence[str]) -> list[str]:
    """The command that runs ``words`` on this core."""
    return [*words] if core is None else ["taskset", "--cpu-list", str(core), *words]
