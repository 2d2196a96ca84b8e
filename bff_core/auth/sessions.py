"""Sessions from their beginning to their end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha256
from time import time
from typing import Final, NamedTuple

from bff_core.auth import audit
from bff_core.auth.grants import Granted
from bff_core.auth.jwt import TokenRefused
from bff_core.auth.kept_sessions import KeptSessions, patiently
from bff_core.auth.logout_token import LogoutOrder
from bff_core.auth.provider import Provider
from bff_core.auth.renewal import Renewal, let_go
from bff_core.auth.sealed import Sealed
from bff_core.auth.session import Session, group_of_login, group_of_person, name_of, new_id
from bff_core.auth.session_store import SessionStore
from bff_core.auth.together import Together
from bff_core.errors import GatewayError
from bff_core.session_settings import SessionSettings

__all__ = ["Begun", "Sessions"]

_log = logging.getLogger("bff.auth")

_FINISHING: Final = 5.0  # seconds
_SHARE: Final = 0.5  # of what is left to a request, because most pages can do without knowing whose they are


class Begun(NamedTuple):
    """A new session, and the id by which its browser shows it."""

    id: str
    session: Session

    def __repr__(self) -> str:
        return f"Begun({self.session!r})"  # without the id, because what is represented ends up in logs


class Sessions:
    """Those of one gateway. ``clock`` is seconds since 1970.

    Every method raises ``IdentityUnavailable`` where nobody can say just now. What changes something goes on when
    whoever waits for it has left, because half of it would be a token that nobody revokes.
    """

    def __init__(
        self,
        settings: SessionSettings,
        store: SessionStore,
        provider: Provider,
        sealed: Sealed,
        clock: Callable[[], float] = time,
    ) -> None:
        self._settings, self._store, self._provider, self._clock = settings, store, provider, clock
        self._kept = KeptSessions(store, sealed, settings.idle, clock)
        self._renewal = Renewal(
            self._kept,
            store,
            provider,
            absolute=settings.absolute,
            clock=clock,
            over=self._end,
            revoke=self._revoke_later,
        )
        self._together = Together()

    async def close(self) -> None:
        """Finish what is under way, and what takes too long ends: a renewal that is broken off is a session lost."""
        await self._together.close(within=_FINISHING)

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock()

    async def begin_with(
        self, exchange: Callable[[], Awaitable[Granted]], *, nonce: str, instead_of: str | None
    ) -> Begun:
        """As ``begin``, of what ``exchange`` brings, or raises. Where the browser leaves meanwhile, it ends again."""

        async def begun() -> Begun | TokenRefused:
            try:
                return await self.begin(await exchange(), nonce=nonce, instead_of=instead_of)
            except TokenRefused as refusal:
                return refusal

        work = self._together.begin(("login", nonce), begun)
        try:
            found = await self._together.result(("login", nonce), begun)
        except BaseException:
            work.add_done_callback(self._unclaimed)
            raise
        if isinstance(found, TokenRefused):
            raise found
        return found

    async def begin(self, granted: Granted, *, nonce: str, instead_of: str | None) -> Begun:
        """Somebody has logged in; a session that this browser had before ends. Raises ``TokenRefused`` where the
        provider does not say who it is. What was granted is revoked where there is no session in the end.
        """
        try:
            session = await self._logged_in(granted, nonce)
            session_id = new_id()
            await self._kept.add(_name(session_id), session)
            await self._check_not_ended(_name(session_id), session)
            if instead_of is not None:  # now, because a store that is full takes no other one
                await self._end(instead_of, "another login in the same browser")
        except BaseException:
            self._revoke_later(granted.refresh_token, granted.access_token)
            raise
        audit.session_began(session)
        return Begun(session_id, session)

    async def _check_not_ended(self, name: str, session: Session) -> None:
        """After it is kept, because an order to end this login finds it from then on; and one that came sooner is
        remembered.
        """
        if session.login and await self._store.said(_order(group_of_login(session.issuer, session.login))):
            await self._end(name, "the provider has ended this login meanwhile")
            raise TokenRefused("the provider has ended this login meanwhile")

    async def _logged_in(self, granted: Granted, nonce: str) -> Session:
        if granted.id_token is None:
            raise TokenRefused("the provider sent no ID token")
        found = await self._provider.logged_in(granted.id_token, nonce=nonce, access_token=granted.access_token)
        now = self._clock()
        return Session(
            issuer=self._settings.issuer,
            subject=found.subject,
            client_id=self._settings.client_id,
            scopes=frozenset(self._settings.scopes) if granted.scopes is None else granted.scopes,
            shown_as=found.name,
            login=found.session_id,
            began=now,
            ends=self._renewal.ends(granted, now),
            access_token=granted.access_token,
            access_ends=None if granted.expires_in is None else now + granted.expires_in,
            refresh_token=granted.refresh_token,
            id_token=granted.id_token,
        )

    def _unclaimed(self, work: "asyncio.Task[Begun | TokenRefused]") -> None:
        if work.cancelled() or work.exception() is not None or isinstance(found := work.result(), TokenRefused):
            return
        name = _name(found.id)
        self._together.begin(("ended", name), partial(self._end, name, "its browser has left"))

    async def find(self, session_id: str) -> Session | None:
        """The session of that id, where there is one that still holds; it is renewed first, where its access has run
        out. What reads it keeps it alive.
        """
        name = name_of(session_id)
        if name is None or (session := await self._read(name)) is None:
            return None
        if session.stale(self._clock()):
            return await self._together.result(name, partial(self._renewal.renewed, name), share=_SHARE)
        return session

    async def known(self, session_id: str) -> Session | None:
        """The session of that id as it is, for who wants to end it: the provider is not asked."""
        name = name_of(session_id)
        return None if name is None else await self._read(name)

    async def end(self, session_id: str, why: str) -> Session | None:
        """It is over, and what the provider has given for it is worth nothing any more."""
        name = name_of(session_id)
        return None if name is None else await self._together.result(("ended", name), partial(self._end, name, why))

    async def end_all(self, session: Session) -> None:
        """Every session of this person is over, in every browser."""
        group = group_of_person(session.issuer, session.subject)
        await self._together.result(("ended", group), partial(self._end_group, group, "logged out everywhere"))

    async def told_to_end(self, logout_token: str) -> None:
        """The provider says that a login, or a person, is logged out. Raises ``TokenRefused`` where it is not the
        provider who says so, or where it has said it before.
        """
        order = await self._provider.logout_order(logout_token)
        if not await self._together.result(("order", order.jti), partial(self._obeyed, order)):
            raise TokenRefused("it was seen before")

    async def _obeyed(self, order: LogoutOrder) -> bool:
        """Whether that was the first time. Where it fails it may be said again, because who is not told is let in."""
        seen = f"jti:{sha256(order.jti.encode()).hexdigest()}"
        held = await patiently(partial(self._store.lock, seen, max(1.0, order.until - self._clock())))
        if held is None:
            return False
        group = (
            group_of_login(self._settings.issuer, order.session_id)
            if order.session_id
            else group_of_person(self._settings.issuer, order.subject)
        )
        try:
            if order.session_id:  # because this login may be on its way here; that of a person may be a new one
                await patiently(partial(self._store.once, _order(group), self._settings.login))
            await patiently(partial(self._end_group, group, "the provider says so"))
        except BaseException:
            await let_go(self._store, seen, held)
            raise
        return True

    async def _end_group(self, group: str, why: str) -> None:
        while taken := await self._kept.take_group(group):  # again, because one may have been added meanwhile
            for session in taken:
                self._over(session, why)

    async def _end(self, name: str, why: str) -> Session | None:
        session = await self._kept.take(name)
        self._over(session, why)
        return session

    def _over(self, session: Session | None, why: str) -> None:
        if session is not None:
            audit.session_ended(session, why)
            self._revoke_later(session.refresh_token, session.access_token)

    def _revoke_later(self, refresh_token: str | None, access_token: str) -> None:
        token = refresh_token or access_token
        hint = "access_token" if refresh_token is None else "refresh_token"
        # beside whoever logs out, because the session is over whether the provider answers or not
        self._together.begin(("revoked", token), partial(self._revoke, token, hint))

    async def _revoke(self, token: str, hint: str) -> None:
        try:
            await self._provider.revoke(token, hint)
        except GatewayError as error:
            _log.warning("a token of a session that is over could not be revoked: %s", error)

    async def _read(self, name: str) -> Session | None:
        session = await self._kept.get(name)
        if session is not None and session.ends <= self._clock():
            await self._end(name, "its time is over")
            return None
        return session


def _order(group: str) -> str:
    return f"ended:{group}"


def _name(session_id: str) -> str:
    name = name_of(session_id)
    assert name is not None
    return name
