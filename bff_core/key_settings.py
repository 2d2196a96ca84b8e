"""How API keys are kept, and who may use them."""

from base64 import b64decode
from pathlib import PurePosixPath
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr

from bff_core.setting_types import Duration, Secret, Strict

__all__ = ["KeySettings"]

_DRIVERS: Final = {"sqlite+aiosqlite": "SQLite", "postgresql+asyncpg": "PostgreSQL"}
_WRITE_IT: Final = 'write it like "sqlite+aiosqlite:////var/lib/bff/keys.db" or "postgresql+asyncpg://user@host/name"'
_LEAST: Final = 32  # bytes


def _database(value: SecretStr) -> SecretStr:
    # what is wrong never quotes it: there may be a password in it
    from sqlalchemy.engine import make_url  # noqa: PLC0415  a tenth of a second for gateways without keys
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(value.get_secret_value())
    except (ArgumentError, ValueError):
        raise ValueError(f"is no URL of a database; {_WRITE_IT}") from None
    if url.drivername not in _DRIVERS:
        raise ValueError(f"keys are kept in SQLite or PostgreSQL, and by no other driver; {_WRITE_IT}")
    if not url.database or url.database == ":memory:":
        raise ValueError(f"names no database that lasts; {_WRITE_IT}")
    if url.drivername.startswith("sqlite") and not PurePosixPath(url.database).is_absolute():
        raise ValueError(f"is relative, and a gateway may be started from anywhere; {_WRITE_IT}")
    return value


def _decoded(value: SecretStr) -> tuple[bytes, ...]:
    return tuple(b64decode(one.strip(), validate=True) for one in value.get_secret_value().split(","))


def _pepper(value: SecretStr) -> SecretStr:
    try:
        peppers = _decoded(value)
    except ValueError:
        raise ValueError("is no base64") from None
    if min(map(len, peppers)) < _LEAST:
        raise ValueError(f"is too short: base64 of at least {_LEAST} random bytes, as of `openssl rand -base64 32`")
    if len(set(peppers)) < len(peppers):
        raise ValueError("holds one twice")
    return value


class KeySettings(Strict):
    """The keys of a gateway for programs of third parties."""

    database: Annotated[Secret, AfterValidator(_database)] = SecretStr("sqlite+aiosqlite:////var/lib/bff/keys.db")
    """Where they are kept, as SQLAlchemy writes it: SQLite, or ``postgresql+asyncpg://...``; it may hold a password."""

    pepper: Annotated[Secret, AfterValidator(_pepper)]
    """What hashes of keys are made with, beside the keys: base64 of at least 32 random bytes, never in the database.

    Several are separated by commas: the first makes new hashes, the others still prove those that they made.
    """

    environment: Annotated[str, Field(pattern=r"^[a-z0-9]{1,16}$")] = "live"
    """Which keys are taken: those made for this environment, as their second part says."""

    fresh: Annotated[Duration, Field(le=300)] = 10.0
    """How long what is known of a key may be old: a revoked one is refused everywhere within this time."""

    @property
    def peppers(self) -> tuple[bytes, ...]:
        """The newest first."""
        return _decoded(self.pepper)

    @property
    def place(self) -> str:
        """Where they are kept, for people: without user and password."""
        from sqlalchemy.engine import make_url  # noqa: PLC0415

        url = make_url(self.database.get_secret_value())
        at = f" at {url.host}{f':{url.port}' if url.port else ''}" if url.host else ""
        return f"{_DRIVERS[url.drivername]}, {url.database}{at}"
