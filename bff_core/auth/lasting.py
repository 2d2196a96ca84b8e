"""What lasts for a while, by its name, in the memory of this process."""

import asyncio
from typing import Generic, TypeVar

__all__ = ["Lasting"]

T = TypeVar("T")


class Lasting(Generic[T]):
    """At most ``most`` of it: when there is no room, what was kept longest ago goes first.

    No timer ends anything: what is over is found no more, and goes when something else is kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[str, tuple[T, float]] = {}  # what was kept last is last

    def keep(self, name: str, thing: T, ttl: float) -> list[tuple[str, T]]:
        """Keep it for so many seconds from now, and tell what has gone for it."""
        now = _now()
        self._kept.pop(name, None)
        self._kept[name] = (thing, now + ttl)
        return self._made_room(now)

    def found(self, name: str) -> T | None:
        """What is kept by that name."""
        thing, until = self._kept.get(name, (None, 0.0))
        return thing if _now() < until else None

    def taken(self, name: str) -> T | None:
        """What is kept by that name, over or not; and it is there no more."""
        return self._kept.pop(name, (None, 0.0))[0]

    def __len__(self) -> int:
        return len(self._kept)

    def _made_room(self, now: float) -> list[tuple[str, T]]:
        gone = []
        while self._kept:
            name, (thing, until) = next(iter(self._kept.items()))
            if now < until and len(self._kept) <= self._most:
                break
            del self._kept[name]
            gone.append((name, thing))
        return gone


def _now() -> float:
    return asyncio.get_running_loop().time()
