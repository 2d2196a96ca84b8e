"""How API keys are kept, and who may use them."""

from typing import Annotated

from pydantic import Field, SecretStr

from bff_core.setting_types import Duration, Strict

__all__ = ["KeySettings"]


class KeySettings(Strict):
    """The keys of a gateway for programs of third parties."""

    database: SecretStr = SecretStr("sqlite+aiosqlite:///keys.db")
    """Where they are kept, as SQLAlchemy writes it: SQLite, or ``postgresql+asyncpg://...``; it may hold a password."""

    pepper: SecretStr
    """What hashes of keys are made with, beside the keys: base64 of at least 32 random bytes, never in the database."""

    environment: Annotated[str, Field(pattern=r"^[a-z0-9]{1,16}$")] = "live"
    """Which keys are taken: those made for this environment, as their second part says."""

    fresh: Duration = 10.0
    """How long what is known of a key may be old: a revoked one is refused everywhere within this time."""
