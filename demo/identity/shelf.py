"""Things that are kept for a while, and found again by a secret."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Generic, TypeVar

T = TypeVar("T")


class Shelf(Generic[T]):
    """Keeps each thing for `lifetime` seconds, and never more than `most`: the oldest goes first.

    Secrets are hashed, so that nobody who sees the memory can use them. Plainly, because they are random and long.
    """

    def __init__(self, lifetime: float, most: int = 10_000) -> None:
        self._lifetime, self._most = lifetime, most
        self._things: dict[bytes, tuple[float, T]] = {}  # in the order in which they expire

    def put(self, secret: str, thing: T, now: float) -> None:
        """Keep it from now on."""
        self.drop(secret)
        self._clear(now)
        if len(self._things) >= self._most:
            del self._things[next(iter(self._things))]
        self._things[_hashed(secret)] = (now + self._lifetime, thing)

    def get(self, secret: str, now: float) -> T | None:
        """What was put there, while it is kept."""
        until, thing = self._things.get(_hashed(secret), (now, None))
        return thing if until > now else None

    def drop(self, secret: str) -> None:
        """Keep it no longer."""
        self._things.pop(_hashed(secret), None)

    def remove(self, thing: T) -> None:
        """Keep this no longer, whatever its secret."""
        for key in [key for key, (_, kept) in self._things.items() if kept is thing]:
            del self._things[key]

    def all(self, now: float) -> Iterator[T]:
        """What is kept, oldest first."""
        self._clear(now)
        return iter([thing for _, thing in self._things.values()])

    def __len__(self) -> int:
        return len(self._things)

    def _clear(self, now: float) -> None:
        while self._things and (first := next(iter(self._things))) and self._things[first][0] <= now:
            del self._things[first]


def _hashed(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
