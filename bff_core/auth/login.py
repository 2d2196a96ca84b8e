"""Logging in: to the provider, and back (OAuth 2.0 for browser-based apps, RFC 10017; OpenID Connect Core, 3.1)."""

import hmac
from collections.abc import Callable
from functools import partial
from secrets import token_urlsafe
from time import time
from typing import Final, NamedTuple

from pydantic import BaseModel, ValidationError

from bff_core.auth.audit import Refusals
from bff_core.auth.grants import WORTH_NOTHING
from bff_core.auth.jwt import TokenRefused
from bff_core.auth.pkce import challenge_of, new_verifier
from bff_core.auth.provider import Provider
from bff_core.auth.sealed import Sealed
from bff_core.auth.session import name_of
from bff_core.auth.session_store import SessionStore
from bff_core.auth.sessions import Begun, Sessions
from bff_core.errors import GrantRefused, IdentityUnavailable, LoginFailed
from bff_core.session_settings import SessionSettings

__all__ = ["CALLBACK", "Answered", "Login", "Underway"]

CALLBACK: Final = "/login/callback"

_NAME: Final = "login"
_DENIED: Final = "access_denied"


class Underway(NamedTuple):
    """A login that has begun: where the browser goes, and what it keeps meanwhile."""

    url: str
    cookie: str


class Answered(NamedTuple):
    """What the browser brings back from the provider; ``None`` for what is not there."""

    code: str | None
    state: str | None
    issuer: str | None
    error: str | None


class _Begun(BaseModel):
    """What is remembered of a login, encrypted, by the browser that began it."""

    state: str
    nonce: str
    verifier: str
    back_to: str
    until: float
    before: str | None
    """The name of the session it had."""


class Login:
    """``clock`` is seconds since 1970. Nothing is kept here for who only begins."""

    def __init__(
        self,
        settings: SessionSettings,
        sessions: Sessions,
        store: SessionStore,
        provider: Provider,
        sealed: Sealed,
        refusals: Refusals,
        clock: Callable[[], float] = time,
    ) -> None:
        self._settings, self._sessions, self._store = settings, sessions, store
        self._provider, self._sealed, self._clock = provider, sealed, clock
        self._callback = settings.origin + CALLBACK
        self._refusals = refusals

    async def begin(self, back_to: str, session_id: str | None) -> Underway:
        """For a browser that goes to ``back_to`` afterwards, and has perhaps a session already."""
        begun = _Begun(
            state=token_urlsafe(32),
            nonce=token_urlsafe(32),
            verifier=new_verifier(),
            back_to=back_to,
            until=self._clock() + self._settings.login,
            before=None if session_id is None else name_of(session_id),
        )
        url = await self._provider.authorization_url(
            state=begun.state,
            nonce=begun.nonce,
            challenge=challenge_of(begun.verifier),
            redirect_uri=self._callback,
        )
        return Underway(url, self._sealed.seal_text(_NAME, begun.model_dump_json().encode()))

    async def finish(self, cookie: str | None, answered: Answered) -> tuple[str, Begun | None]:
        """Where the browser goes on, and its new session; none, where its person chose not to log in.

        Raises ``LoginFailed`` where this browser has not begun it, or it is not known who it is.
        """
        begun = self._begun(cookie, answered.state)
        if not await self._store.once(f"state:{begun.state}", self._settings.login):
            raise self._refused("the answer was brought before")
        await self._check_issuer(answered.issuer)
        if answered.error is not None:
            if answered.error == _DENIED:
                self._refusals.note("its person did not want to")
                return begun.back_to, None
            raise self._refused("the provider answered with an error")
        if not answered.code:
            raise self._refused("there is no code")
        return begun.back_to, await self._logged_in(answered.code, begun)

    async def _logged_in(self, code: str, begun: _Begun) -> Begun:
        try:
            return await self._sessions.begin_with(
                partial(self._provider.exchange, code, verifier=begun.verifier, redirect_uri=self._callback),
                nonce=begun.nonce,
                instead_of=begun.before,
            )
        except GrantRefused as refusal:
            if refusal.code != WORTH_NOTHING:  # something is wrong with us, and trying again does not help
                raise IdentityUnavailable(f"the provider refuses us: {refusal.code}") from None
            why = "the provider does not take the code"
        except TokenRefused as refusal:
            why = f"the ID token is not good: {refusal}"
        raise self._refused(why)

    def _begun(self, cookie: str | None, state: str | None) -> _Begun:
        opened = None if cookie is None else self._sealed.open_text(_NAME, cookie)
        if opened is None:
            raise self._refused("this browser has begun no login")
        try:
            begun = _Begun.model_validate_json(opened)
        except ValidationError:
            raise self._refused("it was begun with another version of this program") from None
        if state is None or not hmac.compare_digest(begun.state.encode(), state.encode()):
            raise self._refused("state is that of another login")
        if begun.until <= self._clock():
            raise self._refused("it has taken too long")
        return begun

    async def _check_issuer(self, issuer: str | None) -> None:
        """RFC 9207: an answer of another provider must not be taken for one of ours."""
        if issuer is None:
            if await self._provider.names_itself():
                raise self._refused("the answer does not name its provider")
        elif issuer != self._settings.issuer:
            raise self._refused("the answer is that of another provider")

    def _refused(self, why: str) -> LoginFailed:
        self._refusals.note(why)
        return LoginFailed(why)
