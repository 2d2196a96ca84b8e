"""Who is logged in at the provider, and which clients know of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from secrets import token_urlsafe

from demo.identity.shelf import Shelf
from demo.identity.users import User

LIFETIME = 12 * 3600.0


@dataclass(eq=False)
class Session:
    """One browser of one user."""

    user: User
    auth_time: float
    id: str = field(default_factory=lambda: token_urlsafe(16))
    """What clients call it (`sid`)."""
    clients: set[str] = field(default_factory=set)
    """Those that were given a code in it."""
    ended: bool = False


class Sessions:
    """Those that last; each is opened by a cookie, which is not its `id`."""

    def __init__(self) -> None:
        self._by_cookie: Shelf[Session] = Shelf(LIFETIME)

    def start(self, user: User, before: Session | None, now: float) -> tuple[str, Session]:
        """A new cookie, for a new session, or for the one `before` of the same user, whose clients it still has."""
        session = before if before and before.user == user else Session(user, now)
        session.auth_time = now
        self._by_cookie.remove(session)  # its old cookie, because a login never keeps what was known before it
        cookie = token_urlsafe(32)
        self._by_cookie.put(cookie, session, now)
        return cookie, session

    def find(self, cookie: str, now: float) -> Session | None:
        """The session that this cookie opens."""
        return self._by_cookie.get(cookie, now)

    def named(self, sid: str, now: float) -> Session | None:
        """The session that clients call so."""
        return next((session for session in self._by_cookie.all(now) if session.id == sid), None)

    def of(self, user: User, now: float) -> Iterator[Session]:
        """All of this user."""
        return (session for session in self._by_cookie.all(now) if session.user == user)

    def end(self, session: Session) -> None:
        """Close it, and with it whatever was granted in it."""
        session.ended = True
        self._by_cookie.remove(session)
