"""How the database of keys is reached, and in what words it fails."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiosqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

__all__ = ["open_engine", "reason"]

_CHUNK = 64  # rows, as aiosqlite has it


def open_engine(url: str, *, within: float) -> tuple[AsyncEngine, tuple[type[Exception], ...]]:
    """And what it fails with: a driver raises errors of its own while it connects. ``within``: seconds for a visit."""
    patience = within * 0.75  # or a thread of SQLite would wait for a lock when nobody waits for it any more
    engine = partial(
        create_async_engine,
        url,
        hide_parameters=True,
        pool_size=2,  # one that finds and one that writes
        max_overflow=0,
        pool_timeout=within,
        pool_pre_ping=True,  # because a database that was restarted has closed what is in the pool
    )
    if make_url(url).drivername.startswith("sqlite"):
        return engine(async_creator=_to_sqlite(url, patience)), (SQLAlchemyError, OSError, sqlite3.Error)
    from asyncpg import InterfaceError, PostgresError  # type: ignore[import-untyped]  # noqa: PLC0415  it has no types

    errors = (SQLAlchemyError, OSError, PostgresError, InterfaceError)
    return engine(connect_args={"timeout": patience}), errors


def reason(failure: Exception, *, within: float) -> str:
    """One line."""
    if isinstance(failure, TimeoutError):
        return f"no answer within {within:g} s"
    said = failure.orig if isinstance(failure, DBAPIError) else failure
    return (str(said).splitlines() or [repr(said)])[0]


class _Connection(aiosqlite.Connection):
    """One that can be waited for until its thread has said its last word."""

    stopped: asyncio.Future[Any] | None = None

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, _CHUNK)
        self._thread.daemon = True  # or a process that ends without closing it would not end

    def stop(self) -> asyncio.Future[Any] | None:
        self.stopped = super().stop()
        return self.stopped


def _to_sqlite(url: str, patience: float) -> Callable[[], Awaitable[aiosqlite.Connection]]:
    parsed = make_url(url)
    places, how = parsed.get_dialect()().create_connect_args(parsed)
    connector = partial(sqlite3.connect, *places, **{**how, "timeout": patience})

    async def connect() -> aiosqlite.Connection:
        connection = _Connection(connector)
        try:
            return await connection
        except BaseException:
            # its thread is told to stop, and answers a loop that may be closed by then, unless somebody waits
            if connection.stopped is not None:
                await connection.stopped
            raise

    return connect
