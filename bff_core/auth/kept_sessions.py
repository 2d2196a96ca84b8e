"""Sessions as a store keeps them: sealed, by the digest of their id, and no longer than they last."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from pydantic import ValidationError

from bff_core.auth.sealed import Sealed
from bff_core.auth.session import Session, group_of_login, group_of_person
from bff_core.auth.session_store import Kept, SessionStore
from bff_core.errors import IdentityUnavailable

__all__ = ["KeptSessions", "patiently"]

_log = logging.getLogger("bff.auth")

T = TypeVar("T")

_TRIES: Final = 20
_PAUSE: Final = 0.025  # seconds, and so much more each time


class KeptSessions:
    """Those in ``store``, each for ``idle`` seconds after it was used; ``clock`` is seconds since 1970. Raises what the
    store raises.
    """

    def __init__(self, store: SessionStore, sealed: Sealed, idle: float, clock: Callable[[], float]) -> None:
        self._store, self._sealed, self._idle, self._clock = store, sealed, idle, clock

    async def add(self, name: str, session: Session) -> None:
        """Keep a new one, to be found by its person and its login too."""
        groups = [group_of_person(session.issuer, session.subject)]
        if session.login:
            groups.append(group_of_login(session.issuer, session.login))
        await self._store.add(self._kept(name, session), groups, self._ttl(session))

    async def get(self, name: str) -> Session | None:
        """The one of that name, which lives on for it; also one whose time is over."""
        return self._opened(name, await self._store.get(name, self._idle))

    async def replace(self, name: str, session: Session) -> bool:
        """Keep this in its place; false where it has ended meanwhile."""
        return await self._store.replace(self._kept(name, session), self._ttl(session))

    async def take(self, name: str) -> Session | None:
        """The one of that name, of which there is none from now on."""
        return self._opened(name, await self._store.take(name))

    async def take_group(self, group: str) -> list[Session | None]:
        """All of that group, of which there is none from now on; ``None`` for each that cannot be read any more."""
        return [self._opened(kept.name, kept.sealed) for kept in await self._store.take_group(group)]

    def _ttl(self, session: Session) -> float:
        return max(1.0, min(self._idle, session.ends - self._clock()))

    def _kept(self, name: str, session: Session) -> Kept:
        return Kept(name, self._sealed.seal(name, session.model_dump_json().encode()))

    def _opened(self, name: str, sealed: bytes | None) -> Session | None:
        if sealed is None:
            return None
        opened = self._sealed.open(name, sealed)
        if opened is None:
            _log.warning("a session could not be opened: its key is gone, or somebody has changed it")
            return None
        try:
            return Session.model_validate_json(opened)
        except ValidationError:
            _log.warning("a session of another version of this program was passed over")
            return None


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """What must be done, tried again for some seconds where the store does not answer."""
    for tried in range(1, _TRIES):
        try:
            return await work()
        except IdentityUnavailable:
            await asyncio.sleep(_PAUSE * tried)
    return await work()
