"""Tokens that were verified a short while ago, and need not be again. None that was refused."""

from typing import Final

from bff_core.principal import Principal

__all__ = ["KnownTokens"]

_MOST: Final = 10_000


class KnownTokens:
    """Who bears a token, by its fingerprint: none is kept here that could be stolen. The oldest go first."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._kept: dict[bytes, tuple[Principal, float, float]] = {}

    def principal(self, digest: bytes, now: float) -> Principal | None:
        """Who it was, where that still holds."""
        found = self._kept.get(digest)
        if found is None:
            return None
        principal, since, until = found
        if not since <= now < until:  # before it, where a clock was set back
            del self._kept[digest]
            return None
        return principal

    def keep(self, digest: bytes, principal: Principal, since: float, until: float) -> None:
        """It holds from now on, ``since``, until then."""
        self._kept.pop(digest, None)  # so that it is the newest
        if len(self._kept) >= self._most:
            del self._kept[next(iter(self._kept))]
        self._kept[digest] = (principal, since, until)

    def clear(self) -> None:
        """Nothing holds any more."""
        self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)
