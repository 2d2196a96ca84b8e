"""The tables of API keys, made where they are missing, however many processes start at once."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateIndex, CreateTable

from bff_core.auth.key_refusals import StoreFailed

__all__ = ["KEYS", "lock", "make_tables"]

_VERSION: Final = 1

_METADATA: Final = MetaData()

KEYS: Final = Table(
    "api_keys",
    _METADATA,
    Column("id", String(12), primary_key=True),
    Column("environment", String(16), nullable=False),
    Column("pepper", String(8), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("owner", String(100), nullable=False),
    Column("name", String(100), nullable=False),
    Column("plan", String(100), nullable=False),
    Column("scopes", Text, nullable=False),  # separated by blanks, as OAuth writes them
    # seconds since 1970, because SQLite knows no moments, and drivers do not agree on time zones
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("replaces", String(12)),
)
_BY_OWNER: Final = Index("api_keys_by_owner", KEYS.c.owner, KEYS.c.environment)
_SCHEMA: Final = Table("api_keys_schema", _METADATA, Column("version", Integer, primary_key=True, autoincrement=False))
_LOCK: Final = 4_711_202_601  # any number that nobody else takes


async def make_tables(connection: AsyncConnection) -> None:
    """Make what is missing, in the transaction of ``connection``. Raises ``StoreFailed`` for tables of another version.

    Where they are there, nothing is written, so that a gateway may be forbidden to make any.
    """
    if await connection.run_sync(_is_missing):
        await lock(connection, _LOCK)  # PostgreSQL fails where two make a table at once, IF NOT EXISTS or not
        for table in (KEYS, _SCHEMA):
            await connection.execute(CreateTable(table, if_not_exists=True))
        await connection.execute(CreateIndex(_BY_OWNER, if_not_exists=True))
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        await connection.execute(insert(_SCHEMA).values(version=_VERSION).on_conflict_do_nothing())
    found = (await connection.execute(select(_SCHEMA.c.version))).scalars().all()
    if found != [_VERSION]:
        raise StoreFailed(f"its tables are of version {found}, and this program knows {_VERSION}")


async def lock(connection: AsyncConnection, number: int) -> None:
    """Be the only one with this number until the transaction ends. In SQLite whoever writes is the only one anyway."""
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql("SELECT pg_advisory_xact_lock($1)", (number,))


def _is_missing(connection: Connection) -> bool:
    # the last that is made: in SQLite each of them is there as soon as it is made
    if not inspect(connection).has_table(_SCHEMA.name):
        return True
    return connection.execute(select(_SCHEMA.c.version)).first() is None
