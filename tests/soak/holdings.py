"""What a process holds on to."""

import ctypes
import gc
import os
import sys
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["Memory", "alive", "files", "resident"]


@dataclass(frozen=True)
class Memory:
    """What is in use: ``blocks`` that Python's objects are in, which is exact, and ``resident`` bytes of everything."""

    blocks: int
    resident: int

    @classmethod
    def now(cls) -> Self:
        """As it is once garbage is collected, and what was freed is given back."""
        gc.collect()
        if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):  # of glibc, which keeps it otherwise
            libc.malloc_trim(0)
        return cls(sys.getallocatedblocks(), resident())


def resident() -> int:
    """Bytes of memory that this process takes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def files() -> int:
    """Open files, sockets among them."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def alive(names: Collection[str]) -> Counter[str]:
    """How many objects there are whose type has one of these names."""
    gc.collect()
    return Counter(name for found in gc.get_objects() if (name := type(found).__name__) in names)
