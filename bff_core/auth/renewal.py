"""New tokens for a session whose access token has expired: once, by one of all processes, for all who wait.

A refresh token is good once, and who shows it twice loses the session. So a lock in the store says who renews, and the
others look again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from random import random
from typing import Final, Protocol

from bff_core.auth.grants import WORTH_NOTHING, Granted
from bff_core.auth.jwt import TokenRefused
from bff_core.auth.kept_sessions import KeptSessions, patiently
from bff_core.auth.provider import Provider
from bff_core.auth.session import Session
from bff_core.auth.session_store import SessionStore
from bff_core.errors import GrantRefused, IdentityUnavailable

__all__ = ["Renewal", "let_go"]

_log = logging.getLogger("bff.auth")

_HELD: Final = 15.0  # seconds after which whoever renews is taken for gone
_LOOK_AGAIN: Final = 0.025  # seconds, half as much or half as much again, so that not all look at once


class _Over(Protocol):
    """Ends the session of that name, and says why."""

    def __call__(self, name: str, why: str) -> Awaitable[object]:
        """See above."""
        ...


class Renewal:
    """``over`` ends a session that the provider does not stand for any more, and ``revoke`` sees to it that tokens are
    worth nothing. ``absolute`` is how long a session lasts at most, in seconds; ``clock`` is seconds since 1970.
    """

    def __init__(
        self,
        kept: KeptSessions,
        store: SessionStore,
        provider: Provider,
        *,
        absolute: float,
        clock: Callable[[], float],
        over: _Over,
        revoke: Callable[[str | None, str], None],
    ) -> None:
        self._kept, self._store, self._provider = kept, store, provider
        self._absolute, self._clock, self._over, self._revoke = absolute, clock, over, revoke

    async def renewed(self, name: str) -> Session | None:
        """The session of that name, renewed by us or another process; ``None`` where it has ended. Raises
        ``IdentityUnavailable`` where nobody can say. To be run as a task that nobody's leaving ends.
        """
        lock = f"renewal:{name}"
        while (held := await self._store.lock(lock, _HELD)) is None:
            await asyncio.sleep(_LOOK_AGAIN * (0.5 + random()))  # noqa: S311  no secret
            session = await self._kept.get(name)
            if session is None or not session.stale(self._clock()):
                return session
        try:
            session = await self._kept.get(name)
            if session is None or not session.stale(self._clock()):
                return session
            return await self._renew(name, session)
        finally:
            await let_go(self._store, lock, held)

    def ends(self, granted: Granted, began: float) -> float:
        """When a session with these tokens ends, whatever is done with it."""
        latest = began + self._absolute
        if granted.refresh_expires_in is None:
            return latest
        return min(latest, self._clock() + granted.refresh_expires_in)  # because nobody can renew it after that

    async def _renew(self, name: str, session: Session) -> Session | None:
        assert session.refresh_token is not None
        try:
            granted = await self._provider.refresh(session.refresh_token)
        except GrantRefused as refusal:
            if refusal.code == WORTH_NOTHING:
                return await self._not_renewed(name, session)
            _log.error("the provider refuses to renew sessions: %s", refusal.code)
            raise IdentityUnavailable(f"the provider refuses to renew sessions: {refusal.code}") from None
        try:
            renewed = await self._with(session, granted)
        except TokenRefused as refusal:
            await self._over(name, f"renewed with a token that is not good: {refusal}")
            return None
        # the old refresh token is worth nothing now
        if not await patiently(partial(self._kept.replace, name, renewed)):
            self._revoke(renewed.refresh_token, renewed.access_token)  # it was ended while it was renewed
            return None
        return renewed

    async def _not_renewed(self, name: str, session: Session) -> Session | None:
        now = await self._kept.get(name)
        if now is not None and now.refresh_token != session.refresh_token:
            return now  # another process has taken us for gone, and has renewed it
        await self._over(name, "the provider does not renew it")
        return None

    async def _with(self, session: Session, granted: Granted) -> Session:
        """``session`` with what was granted now. It never may more than before: that takes a new login."""
        if granted.id_token is not None:
            found = await self._provider.logged_in(granted.id_token, nonce=None, access_token=granted.access_token)
            if found.subject != session.subject:
                raise TokenRefused("sub is another than before")
        goes_on = granted.refresh_token is None and granted.refresh_expires_in is None
        return session.model_copy(
            update={
                "scopes": session.scopes if granted.scopes is None else session.scopes & granted.scopes,
                "ends": session.ends if goes_on else self.ends(granted, session.began),
                "access_token": granted.access_token,
                "access_ends": None if granted.expires_in is None else self._clock() + granted.expires_in,
                "refresh_token": granted.refresh_token or session.refresh_token,
                "id_token": granted.id_token or session.id_token,
            }
        )


async def let_go(store: SessionStore, lock: str, held: str) -> None:
    """Give a lock back, or leave it to its end where the store does not answer."""
    try:
        await store.unlock(lock, held)
    except IdentityUnavailable:
        _log.info("a lock could not be given back; it ends by itself")
