"""Where API keys are kept: SQLite or PostgreSQL, by the same statements.

Every visit has a time limit. Whoever leaves in the middle of one harms nobody: it goes on without them.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import ColumnElement, and_, case, func, insert, literal, or_, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from bff_core.auth.kept_key import KeptKey
from bff_core.auth.key_engine import open_engine, reason
from bff_core.auth.key_refusals import KeysRefused, StoreFailed
from bff_core.auth.key_tables import KEYS, lock, make_tables

__all__ = ["MOST_LIVE", "Keeps", "KeyStore"]

MOST_LIVE: Final = 2
"""Keys of one owner in one environment: one to use, and one to change over to."""

_T = TypeVar("_T")

_WITHIN: Final = 2.0  # seconds
_COLUMNS: Final = tuple(KEYS.c[field.name] for field in fields(KeptKey))
_AT_ONCE: Final = 500  # rows that are written in one transaction


class Keeps(Protocol):
    """What a gateway needs of where keys are kept."""

    async def ready(self) -> None:
        """Make it ready to be asked. Raises ``StoreFailed``."""
        ...

    async def find(self, environment: str, ids: Collection[str]) -> Sequence[KeptKey]:
        """Those of these ids that there are. Raises ``StoreFailed``."""
        ...

    async def note_uses(self, moments: Mapping[str, int]) -> None:
        """Each id was used last at its moment, or later. Raises ``StoreFailed``."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class KeyStore:
    """A database of keys. See ``Keeps``."""

    def __init__(self, url: str) -> None:
        self._engine, self._failures = open_engine(url, within=_WITHIN)
        self._is_ready = False
        self._visits: set[asyncio.Task[Any]] = set()

    async def ready(self) -> None:
        """Make the tables where they are missing."""
        if not self._is_ready:
            await self._visit(make_tables)
            self._is_ready = True

    async def find(self, environment: str, ids: Collection[str]) -> Sequence[KeptKey]:
        """See ``Keeps``."""
        return await self._found(KEYS.c.environment == environment, KEYS.c.id.in_(ids))

    async def of(self, environment: str, owner: str | None = None) -> Sequence[KeptKey]:
        """All keys of an environment, the oldest first; those of one owner, where one is named."""
        wanted = [KEYS.c.environment == environment]
        return await self._found(*wanted, *([] if owner is None else [KEYS.c.owner == owner]))

    async def note_uses(self, moments: Mapping[str, int]) -> None:
        """See ``Keeps``."""
        await self.ready()
        entries = sorted(moments.items())  # or two processes that write in another order wait for each other
        for start in range(0, len(entries), _AT_ONCE):
            await self._visit(partial(_note, entries=entries[start : start + _AT_ONCE]))

    async def add(self, key: KeptKey) -> None:
        """Keep a new one. Raises ``KeysRefused`` where its owner has two that live."""
        await self.ready()
        await self._visit(partial(_add, key=key))

    async def replace(self, old: KeptKey, new: KeptKey, *, until: int) -> None:
        """Keep a new one, and let the old one expire at ``until``, or sooner where it does; at once is revoked.

        Raises ``KeysRefused`` where it is not live, or its owner has two that are.
        """
        await self.ready()
        await self._visit(partial(_replace, old=old, new=new, until=until))

    async def revoke(self, key: KeptKey, now: int) -> None:
        """Revoke it. Raises ``KeysRefused`` where it was revoked before."""
        await self.ready()
        await self._visit(partial(_revoke, key=key, now=now))

    async def close(self) -> None:
        """See ``Keeps``. Visits that are under way end before."""
        if self._visits:
            await asyncio.wait(self._visits)
        await self._engine.dispose()

    async def _found(self, *wanted: ColumnElement[bool]) -> Sequence[KeptKey]:
        await self.ready()
        return await self._visit(partial(_find, wanted=wanted))

    async def _visit(self, work: Callable[[AsyncConnection], Awaitable[_T]]) -> _T:
        """What ``work`` comes to, in a transaction of its own."""
        # never cancelled from outside, because a driver that is cancelled while it connects leaves a thread behind
        visit = asyncio.create_task(self._transaction(work))
        self._visits.add(visit)
        visit.add_done_callback(self._ended)
        await asyncio.wait([visit])
        return visit.result()

    async def _transaction(self, work: Callable[[AsyncConnection], Awaitable[_T]]) -> _T:
        try:
            async with asyncio.timeout(_WITHIN), self._engine.begin() as connection:
                return await work(connection)
        except self._failures as failure:
            raise StoreFailed(reason(failure, within=_WITHIN)) from failure

    def _ended(self, visit: asyncio.Task[Any]) -> None:
        self._visits.discard(visit)
        if not visit.cancelled():
            visit.exception()  # whoever wanted it may have left


async def _find(connection: AsyncConnection, wanted: Sequence[ColumnElement[bool]]) -> Sequence[KeptKey]:
    rows = await connection.execute(select(*_COLUMNS).where(*wanted).order_by(KEYS.c.created_at))
    return [_kept(row) for row in rows]


async def _note(connection: AsyncConnection, entries: Sequence[tuple[str, int]]) -> None:
    for key_id, moment in entries:
        earlier = or_(KEYS.c.last_used_at.is_(None), KEYS.c.last_used_at < moment)
        await connection.execute(update(KEYS).where(KEYS.c.id == key_id, earlier).values(last_used_at=moment))


async def _add(connection: AsyncConnection, key: KeptKey) -> None:
    await _lock_owner(connection, key)
    await _insert(connection, key)


async def _replace(connection: AsyncConnection, old: KeptKey, new: KeptKey, until: int) -> None:
    now = new.created_at
    sooner = case((KEYS.c.expires_at < until, KEYS.c.expires_at), else_=until)
    ends = {"revoked_at": now} if until <= now else {"expires_at": sooner}
    await _lock_owner(connection, new)
    ended = await connection.execute(update(KEYS).where(KEYS.c.id == old.id, _lives(now)).values(**ends))
    if not ended.rowcount:
        raise KeysRefused(f"key {old.id} is {old.state(now)}; only one that is live can be rotated")
    await _insert(connection, new)


async def _revoke(connection: AsyncConnection, key: KeptKey, now: int) -> None:
    revoked = update(KEYS).where(KEYS.c.id == key.id, KEYS.c.revoked_at.is_(None)).values(revoked_at=now)
    if not (await connection.execute(revoked)).rowcount:
        raise KeysRefused(f"key {key.id} was revoked before")


async def _lock_owner(connection: AsyncConnection, key: KeptKey) -> None:
    owner = f"{key.environment} {key.owner}".encode()
    await lock(connection, int.from_bytes(hashlib.sha256(owner).digest()[:8], "big", signed=True))


async def _insert(connection: AsyncConnection, key: KeptKey) -> None:
    """One statement counts and keeps, because in SQLite others may write before our first writing statement."""
    values = asdict(key) | {"scopes": " ".join(sorted(key.scopes))}
    same = and_(KEYS.c.owner == key.owner, KEYS.c.environment == key.environment)
    live = select(func.count()).select_from(KEYS).where(same, _lives(key.created_at)).scalar_subquery()
    names = list(values)
    row = select(*(literal(values[name], KEYS.c[name].type) for name in names)).where(live < MOST_LIVE)
    if not (await connection.execute(insert(KEYS).from_select(names, row))).rowcount:
        raise KeysRefused(f"{key.owner} has {MOST_LIVE} live keys in {key.environment}; revoke one of them first")


def _lives(now: int) -> ColumnElement[bool]:
    return and_(KEYS.c.revoked_at.is_(None), or_(KEYS.c.expires_at.is_(None), KEYS.c.expires_at > now))


def _kept(row: Row[Any]) -> KeptKey:
    values = dict(row._mapping)
    return KeptKey(**values | {"scopes": frozenset(values["scopes"].split())})
