"""A provider that says what a test has it say, and counts."""

import asyncio
from collections.abc import Callable

from bff_core.auth.grants import Granted
from bff_core.auth.id_token import LoggedIn
from bff_core.errors import GrantRefused, IdentityUnavailable

__all__ = ["PlayedProvider"]

ISSUER = "https://id.test"


class PlayedProvider:
    """Its ID tokens are subjects. Refresh tokens are good once, as RFC 9700 wants it: who shows one again loses all."""

    def __init__(self) -> None:
        self.refreshed = 0
        self.revoked: list[str] = []
        self.expires_in: float | None = 300.0
        self.refresh_expires_in: float | None = None
        self.scopes: frozenset[str] | None = frozenset({"openid", "orders:read"})
        self.subject = "alice"
        self.down = False
        self.refuses: str | None = None
        self.meanwhile: Callable[[], object] | None = None
        """What happens while it thinks."""
        self._good: set[str] = set()
        self._number = 0

    def granted(self) -> Granted:
        self._number += 1
        refresh = f"refresh-{self._number}"
        self._good.add(refresh)
        access = f"access-{self._number}"
        return Granted(access, self.expires_in, refresh, self.refresh_expires_in, self.subject, self.scopes)

    async def refresh(self, refresh_token: str) -> Granted:
        self.refreshed += 1
        await asyncio.sleep(0.05)  # virtual, or what a network takes
        if self.meanwhile is not None:
            self.meanwhile()
        if self.down:
            raise IdentityUnavailable("it does not answer")
        if self.refuses is not None:
            raise GrantRefused(self.refuses)
        if refresh_token not in self._good:
            self._good.clear()
            raise GrantRefused("invalid_grant")
        self._good.remove(refresh_token)
        return self.granted()

    async def logged_in(self, id_token: str, *, nonce: str | None, access_token: str | None) -> LoggedIn:
        return LoggedIn(id_token, f"login-of-{id_token}", id_token.title(), ISSUER)

    async def revoke(self, token: str, hint: str) -> None:
        self.revoked.append(token)
