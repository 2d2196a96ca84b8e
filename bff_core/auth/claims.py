"""What a token says, read claim by claim, each of the one kind that it can be. Everything raises ``TokenRefused``.

Moments are seconds since 1970.
"""

from collections.abc import Collection, Mapping
from math import inf
from typing import Any, Final

from bff_core.auth.jwt import TokenRefused

__all__ = ["Claims", "audiences", "check_kind", "expiry", "moment", "said_word", "subject", "word"]

Claims = Mapping[str, Any]

_LONGEST: Final = 255  # characters of a subject (OpenID Connect Core, 2), or anything else that is a word
_END_OF_TIME: Final = 253_402_300_800  # the year 10000


def moment(claims: Claims, name: str, default: float) -> float:
    """When that is; ``default`` where nothing is said."""
    if name not in claims:
        return default
    found = claims[name]
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < _END_OF_TIME:
        raise TokenRefused(f"{name} is no moment")
    return found


def word(claims: Claims, name: str) -> str:
    """Fit for a log and a header: short, and without anything that cannot be printed. Empty, where nothing is said."""
    found = claims.get(name, "")
    if not isinstance(found, str) or len(found) > _LONGEST or not found.isprintable():
        raise TokenRefused(f"{name} is no text, or too long")
    return found


def said_word(claims: Claims, name: str) -> str:
    """The same, and where it is said it is not empty."""
    found = word(claims, name)
    if name in claims and not found:
        raise TokenRefused(f"{name} is empty")
    return found


def subject(claims: Claims) -> str:
    """Whom it is about, who must be somebody."""
    found = word(claims, "sub")
    if not found:
        raise TokenRefused("sub is empty")
    return found


def audiences(claims: Claims, ours: str) -> list[str]:
    """All that it is for; we must be among them."""
    audience = claims.get("aud")
    found: list[Any] = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(one, str) for one in found) or ours not in found:
        raise TokenRefused("aud is another")
    return found


def expiry(claims: Claims, now: float, leeway: float) -> float:
    """Until when it holds, which may be infinity; and it must hold now."""
    expires = moment(claims, "exp", inf)
    if expires <= now - leeway:
        raise TokenRefused("it has expired")
    if max(moment(claims, "nbf", 0), moment(claims, "iat", 0)) > now + leeway:
        raise TokenRefused("it is not valid yet")
    return expires


def check_kind(header: Claims, kinds: Collection[str]) -> None:
    """Its ``typ``, where it says so, must be one of ``kinds``, which are in lower case."""
    kind = header.get("typ")
    if kind is not None and (not isinstance(kind, str) or kind.lower() not in kinds):
        raise TokenRefused("typ is another")
