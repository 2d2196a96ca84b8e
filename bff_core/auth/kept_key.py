"""An API key as it is kept: everything but the key."""

from dataclasses import dataclass

__all__ = ["KeptKey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptKey:
    """Moments are whole seconds since 1970. ``pepper`` is the name of the one that ``hash`` was made with."""

    id: str
    environment: str
    pepper: str
    hash: bytes
    owner: str
    name: str
    plan: str
    scopes: frozenset[str]
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None
    replaces: str | None = None
    """The id of the key in whose place it was made."""

    def state(self, now: float) -> str:
        """``live``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "live"
