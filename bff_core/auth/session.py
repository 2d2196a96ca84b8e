"""What is known of a browser that has logged in."""

import re
from hashlib import sha256
from secrets import token_urlsafe
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from bff_core.principal import Principal

__all__ = ["Session", "group_of_login", "group_of_person", "name_of", "new_id"]

_ID_BYTES: Final = 32
_ID: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes in base64url


class Session(BaseModel):
    """One login of one person in one browser. Moments are seconds since 1970; it is kept encrypted, as JSON."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    subject: str
    client_id: str
    scopes: frozenset[str]

    shown_as: str = ""
    """What people may be called on a page."""

    login: str = ""
    """What the provider calls this login (``sid``), where it does."""

    began: float
    ends: float
    """Whatever is done with it."""

    access_token: Annotated[str, Field(repr=False)]
    access_ends: float | None
    """When it must be renewed, where the provider has said so."""

    refresh_token: Annotated[str | None, Field(repr=False)]
    id_token: Annotated[str, Field(repr=False)]

    @property
    def principal(self) -> Principal:
        """Who it is."""
        return Principal(self.issuer, self.subject, self.scopes, self.client_id)

    def stale(self, now: float) -> bool:
        """The provider must be asked whether it still stands for it."""
        return self.refresh_token is not None and self.access_ends is not None and self.access_ends <= now


def new_id() -> str:
    """What a browser shows: 256 bits that nobody can guess."""
    return token_urlsafe(_ID_BYTES)


def name_of(session_id: str) -> str | None:
    """What a session is kept by: whoever sees it does not know the id. ``None`` where it is no id of ours."""
    if not _ID.fullmatch(session_id):
        return None
    return sha256(session_id.encode("ascii")).hexdigest()


def group_of_person(issuer: str, subject: str) -> str:
    """What all sessions of one person are found by."""
    return f"sub:{_digest(issuer, subject)}"


def group_of_login(issuer: str, login: str) -> str:
    """What the sessions of one login at the provider are found by."""
    return f"sid:{_digest(issuer, login)}"


def _digest(issuer: str, name: str) -> str:
    return sha256(f"{issuer}\0{name}".encode()).hexdigest()
