"""The CPU time of a process and of everything it started, as the kernel accounts for it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["CpuTime", "spent_by"]

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Seconds in user and in kernel mode."""

    user: float
    system: float

    def __sub__(self, earlier: "CpuTime") -> "CpuTime":
        return CpuTime(self.user - earlier.user, self.system - earlier.system)


def spent_by(process: int, proc: Path = Path("/proc")) -> CpuTime:
    """What it has used until now, its descendants included, also those that have ended."""
    stats = {int(folder.name): found for folder in proc.glob("[0-9]*") if (found := _stat(folder))}
    children: dict[int, list[int]] = {}
    for number, fields in stats.items():
        children.setdefault(int(fields[1]), []).append(number)
    user = system = 0
    tree = [process]
    while tree:
        number = tree.pop()
        tree += children.get(number, [])
        if fields := stats.get(number, []):
            user += int(fields[11]) + int(fields[13])  # utime, and cutime of children that were waited for
            system += int(fields[12]) + int(fields[14])
    return CpuTime(user / _TICKS, system / _TICKS)


def _stat(folder: Path) -> list[str]:
    """The fields of proc(5) from the third on, behind the name, which may hold spaces and brackets."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []  # ended since we looked
