"""Who a browser belongs to: the cookie of its session."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bff_core.auth.audit import Refusals
from bff_core.auth.contract import Presented
from bff_core.auth.cookies import shown
from bff_core.auth.cross_site import LOOKED_AT
from bff_core.auth.provider import Provider
from bff_core.auth.sealed import Bound
from bff_core.auth.session_store import SessionStore
from bff_core.auth.sessions import Sessions
from bff_core.context import current
from bff_core.principal import Principal

__all__ = ["BrowserSession", "SessionProof", "browser_session", "form_token"]


class BrowserSession(NamedTuple):
    """What a page may know of the session that the current request is part of: no token, and no id."""

    shown_as: str
    """What its person may be called; empty where the provider does not say."""

    ends: float
    """Seconds since 1970, whatever is done with it."""


class SessionProof:
    """A ``Proof``. It asks the store each time, because a session that has ended anywhere has ended here. What
    sessions stand on begins and ends with it, and ``refusals`` that were noted around them.
    """

    name = "session"
    varies = ("Cookie", *LOOKED_AT)  # because others are answered without their cookie
    challenge = ""  # no header begins a login

    def __init__(
        self,
        cookie: str,
        sessions: Sessions,
        tokens: Bound,
        *,
        store: SessionStore,
        provider: Provider,
        refusals: Sequence[Refusals],
    ) -> None:
        self._cookie, self._sessions, self._tokens = cookie, sessions, tokens
        self._store, self._provider, self._refusals = store, provider, refusals

    def known(self, shown: bytes) -> Principal | None:  # noqa: ARG002
        """See ``Proof``."""
        return None

    async def principal(self, presented: Presented) -> Principal | None:
        """See ``Proof``. A cookie that is of no session any more is that of somebody unknown, and no attack."""
        session_id = shown(presented.cookie, self._cookie)
        if session_id is None:
            return None
        context = current()
        context.form_token = self._tokens.bound(session_id)  # of one that has ended too, or no form would be let in
        session = await self._sessions.find(session_id)
        if session is None:
            return None
        context.session = BrowserSession(session.shown_as, session.ends)
        return session.principal

    def facts(self) -> Mapping[str, Any]:
        """See ``Proof``."""
        return {"store": self._store.facts(), "provider": self._provider.facts()}

    async def start(self) -> None:
        """See ``Proof``."""
        await self._store.start()
        await self._provider.start()

    async def close(self) -> None:
        """See ``Proof``."""
        for refusals in self._refusals:
            refusals.close()
        await self._sessions.close()
        await self._provider.close()
        await self._store.close()


def browser_session() -> BrowserSession | None:
    """That of the current request, where it is part of one."""
    found: BrowserSession | None = current().session
    return found


def form_token() -> str:
    """What every form of the current page has in its field ``csrf``; empty where its browser shows no session."""
    return current().form_token
