"""What a token endpoint grants, and what it refuses (RFC 6749, 5). Nothing in a reply is believed to be what it should
be: not its size, its types or its characters.
"""

import re
from math import inf
from typing import Annotated, Any, Final, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from bff_core.services.client import Answer

__all__ = ["WORTH_NOTHING", "Granted", "GrantedReply", "RefusedReply"]

WORTH_NOTHING: Final = "invalid_grant"
"""What a provider says of a code or a refresh token (RFC 6749, 5.2) that is good for nothing any more."""

_LONGEST: Final = 16 * 1024  # characters of anything that is kept
_TEN_YEARS: Final = 315_360_000.0
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, 3.3


class Granted(NamedTuple):
    """Tokens. How long they last is in seconds."""

    access_token: str
    expires_in: float | None
    refresh_token: str | None
    refresh_expires_in: float | None
    """As Keycloak says it; ``None`` where the provider is silent, or says that it never expires."""

    id_token: str | None
    scopes: frozenset[str] | None
    """``None`` are those that were asked for (RFC 6749, 5.1)."""

    def __repr__(self) -> str:
        # none of the tokens, because what is represented ends up in logs
        return f"Granted(expires_in={self.expires_in}, scopes={self.scopes})"


def _seconds(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):  # which some providers write
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        raise ValueError("is no number of seconds")
    return float(min(value, _TEN_YEARS))


def _scopes(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str) or not all(map(_SCOPE.fullmatch, value.split())) or len(value) > _LONGEST:
        raise ValueError("is no list of words")
    return frozenset(value.split())


def _bearer(value: str) -> str:
    if value.lower() != "bearer":
        raise ValueError("is none that we can use")
    return value


_Token = Annotated[str, Field(max_length=_LONGEST, pattern=r"^[\x20-\x7e]*$")]  # RFC 6749, A.12
_Seconds = Annotated[float | None, BeforeValidator(_seconds)]


class GrantedReply(Answer):
    """A reply of 200, as far as we use it."""

    access_token: Annotated[_Token, Field(min_length=1, repr=False)]
    token_type: Annotated[str, AfterValidator(_bearer)]
    expires_in: _Seconds = None
    refresh_token: Annotated[_Token | None, Field(repr=False)] = None
    refresh_expires_in: _Seconds = None
    id_token: Annotated[_Token | None, Field(repr=False)] = None
    scope: Annotated[frozenset[str] | None, BeforeValidator(_scopes)] = None

    def granted(self) -> Granted:
        """What it grants."""
        return Granted(
            self.access_token,
            self.expires_in,
            self.refresh_token or None,
            self.refresh_expires_in or None,  # 0 is what Keycloak says of one that never expires
            self.id_token or None,
            self.scope,
        )


class RefusedReply(Answer):
    """A reply that says no, as far as we use it."""

    error: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
    error_description: Annotated[Any, Field(repr=False)] = None
