"""Where sessions are kept between two requests."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

__all__ = ["Kept", "SessionStore"]


class Kept(NamedTuple):
    """One session as it is kept: nobody who sees it can use it."""

    name: str
    """A digest of the id that the browser shows; the id itself is kept nowhere."""

    sealed: bytes
    """What is in it, encrypted; stores do not look at it."""


class SessionStore(Protocol):
    """Keeps sessions by their name, and finds those of one login or one person.

    Every method is atomic, ends within a second, and raises ``IdentityUnavailable`` where it cannot be known whether it
    was done. Cancelling one harms no other, and what comes back is never the answer to somebody else's question. Times
    to live are seconds, more than 0.
    """

    async def add(self, kept: Kept, groups: Collection[str], ttl: float) -> None:
        """A new one, for so long, to be found by each of ``groups`` (such as ``sub:...``), as long as it is there."""
        ...

    async def get(self, name: str, ttl: float) -> bytes | None:
        """What is kept by that name, and from now on for so long; ``None`` where nothing is, or is no more."""
        ...

    async def replace(self, kept: Kept, ttl: float) -> bool:
        """Keep this instead of what is there by that name; false, where there is nothing: what has ended never comes
        back.
        """
        ...

    async def take(self, name: str) -> bytes | None:
        """The same as ``get``, and then it is gone."""
        ...

    async def take_group(self, group: str) -> list[Kept]:
        """All that are found by that group, and then they are gone. One that is added while this runs is found by the
        next, or taken: never neither.
        """
        ...

    async def once(self, name: str, ttl: float) -> bool:
        """True for the first who says this name in so long, among all processes."""
        ...

    async def said(self, name: str) -> bool:
        """Somebody has said this name to ``once``, and its time is not over."""
        ...

    async def lock(self, name: str, ttl: float) -> str | None:
        """What ``unlock`` needs, where nobody else has it; ``None`` where somebody has. It is free again after ``ttl``,
        because whoever has it may be gone.
        """
        ...

    async def unlock(self, name: str, held: str) -> None:
        """Let go, where it is still held by us."""
        ...

    async def start(self) -> None:
        """Before everything else. It does not wait for a server: a gateway starts without."""
        ...

    async def close(self) -> None:
        """Connections and errands end."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """How it is, for operators."""
        ...
