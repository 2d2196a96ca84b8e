"""Sessions in the memory of this process: they end with it, and no other process knows them."""

import secrets
from collections.abc import Collection
from typing import Final, NamedTuple

from bff_core.auth.lasting import Lasting
from bff_core.auth.session_store import Kept

__all__ = ["MemorySessions"]

_MOST: Final = 100_000


class _Session(NamedTuple):
    sealed: bytes
    groups: frozenset[str]


class MemorySessions:
    """At most ``most`` of them: those go first that nobody has used for longest. See ``SessionStore``."""

    def __init__(self, most: int = _MOST) -> None:
        self._sessions = Lasting[_Session](most)
        self._groups: dict[str, set[str]] = {}
        self._said = Lasting[str](most)
        self._locks = Lasting[str](most)

    async def add(self, kept: Kept, groups: Collection[str], ttl: float) -> None:
        """See ``SessionStore``."""
        self._taken(kept.name)
        for group in groups:
            self._groups.setdefault(group, set()).add(kept.name)
        self._keep(kept.name, _Session(kept.sealed, frozenset(groups)), ttl)

    async def get(self, name: str, ttl: float) -> bytes | None:
        """See ``SessionStore``."""
        session = self._sessions.found(name)
        if session is None:
            return None
        self._keep(name, session, ttl)
        return session.sealed

    async def replace(self, kept: Kept, ttl: float) -> bool:
        """See ``SessionStore``."""
        session = self._sessions.found(kept.name)
        if session is None:
            return False
        self._keep(kept.name, session._replace(sealed=kept.sealed), ttl)
        return True

    async def take(self, name: str) -> bytes | None:
        """See ``SessionStore``."""
        return self._taken(name)

    async def take_group(self, group: str) -> list[Kept]:
        """See ``SessionStore``."""
        found = [(name, self._taken(name)) for name in list(self._groups.get(group, ()))]
        return [Kept(name, sealed) for name, sealed in found if sealed is not None]

    async def once(self, name: str, ttl: float) -> bool:
        """See ``SessionStore``."""
        if self._said.found(name) is not None:
            return False
        self._said.keep(name, "said", ttl)
        return True

    async def said(self, name: str) -> bool:
        """See ``SessionStore``."""
        return self._said.found(name) is not None

    async def lock(self, name: str, ttl: float) -> str | None:
        """See ``SessionStore``."""
        if self._locks.found(name) is not None:
            return None
        held = secrets.token_urlsafe(16)
        self._locks.keep(name, held, ttl)
        return held

    async def unlock(self, name: str, held: str) -> None:
        """See ``SessionStore``."""
        if self._locks.found(name) == held:
            self._locks.taken(name)

    async def start(self) -> None:
        """Nothing is to be done."""

    async def close(self) -> None:
        """Nothing is to be done."""

    def facts(self) -> dict[str, int]:
        """How many there are, those that are over and have not gone yet among them."""
        return {"sessions": len(self._sessions), "groups": len(self._groups)}

    def _keep(self, name: str, session: _Session, ttl: float) -> None:
        for gone in self._sessions.keep(name, session, ttl):
            self._leave_groups(*gone)

    def _taken(self, name: str) -> bytes | None:
        found = self._sessions.found(name)
        session = self._sessions.taken(name)
        if session is not None:
            self._leave_groups(name, session)
        return found.sealed if found else None

    def _leave_groups(self, name: str, session: _Session) -> None:
        for group in session.groups:
            names = self._groups[group]
            names.remove(name)
            if not names:
                del self._groups[group]
