"""Who a browser belongs to: the cookie of its session."""

from collections.abc import Sequence
from typing import Protocol

from bff_core.auth.contract import Presented
from bff_core.auth.cookies import shown
from bff_core.auth.sealed import Bound
from bff_core.auth.session import Session
from bff_core.auth.sessions import Sessions
from bff_core.context import current
from bff_core.principal import Principal

__all__ = ["BrowserSession", "Lasting", "SessionProof", "browser_session"]


class Lasting(Protocol):
    """What is there from the start of a gateway to its end."""

    async def start(self) -> None:
        """Begin."""
        ...

    async def close(self) -> None:
        """End."""
        ...


class BrowserSession:
    """The session that the current request is part of."""

    __slots__ = ("form_token", "id", "session")

    def __init__(self, session_id: str, session: Session, form_token: str) -> None:
        self.id, self.session, self.form_token = session_id, session, form_token

    @property
    def shown_as(self) -> str:
        """What its person may be called on a page; empty where the provider does not say."""
        return self.session.shown_as


class SessionProof:
    """A ``Proof``. It asks the store each time, because a session that has ended anywhere has ended here. ``lasting``
    is what sessions stand on, which begins and ends with it.
    """

    challenge = ""  # no header begins a login

    def __init__(self, cookie: str, sessions: Sessions, tokens: Bound, lasting: Sequence[Lasting]) -> None:
        self._cookie, self._sessions, self._tokens, self._lasting = cookie, sessions, tokens, lasting

    def known(self, presented: Presented) -> Principal | None:  # noqa: ARG002
        """See ``Proof``."""
        return None

    async def principal(self, presented: Presented) -> Principal | None:
        """See ``Proof``. A cookie that is of no session any more is that of somebody unknown, and no attack."""
        session_id = shown(presented.cookie, self._cookie)
        session = None if session_id is None else await self._sessions.find(session_id)
        if session_id is None or session is None:
            return None
        current().session = BrowserSession(session_id, session, self._tokens.bound(session_id))
        return session.principal

    async def start(self) -> None:
        """See ``Proof``."""
        for one in self._lasting:
            await one.start()

    async def close(self) -> None:
        """See ``Proof``."""
        await self._sessions.close()
        for one in self._lasting:
            await one.close()


def browser_session() -> BrowserSession | None:
    """That of the current request, where it is part of one."""
    found: BrowserSession | None = current().session
    return found
