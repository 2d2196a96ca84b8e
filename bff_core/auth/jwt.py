"""A JSON Web Token taken apart, before anything in it is believed (RFC 7515, RFC 7519, RFC 8725).

What can be read in two ways is refused, because somebody else may have read it in the other one.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NoReturn

__all__ = ["Jwt", "TokenRefused", "from_base64url", "is_jwt", "taken_apart"]

_SIGNED: Final = 3  # segments
_ENCRYPTED: Final = 5


class TokenRefused(Exception):
    """A token proves nothing. The message is for our log, and never holds what is in the token."""


class Jwt(NamedTuple):
    """The pieces of one token; nothing is verified yet."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    """What the signature is of."""

    signature: bytes


def is_jwt(token: str) -> bool:
    """It is written like one, signed or encrypted: its first segment would be a JSON object."""
    first, *others = token.split(".")
    try:
        return len(others) + 1 in {_SIGNED, _ENCRYPTED} and from_base64url(first).startswith(b"{")
    except ValueError:
        return False


def taken_apart(token: str) -> Jwt:
    """Its pieces. Raises ``TokenRefused`` where it is no signed token, or not written in the one way there is."""
    segments = token.split(".")
    if len(segments) != _SIGNED:
        raise TokenRefused("it is no signed token of three segments")
    try:
        header, claims, signature = map(from_base64url, segments)
    except ValueError:
        raise TokenRefused("a segment is no base64url, or not canonical") from None
    return Jwt(_object(header), _object(claims), token.rpartition(".")[0].encode("ascii"), signature)


def from_base64url(text: str) -> bytes:
    """What it stands for. ``ValueError`` where anything else would be written so (RFC 4648, 3.5)."""
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != text:  # the decoder passes over what it does not know
        raise ValueError("not canonical")
    return data


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise TokenRefused("a member is there twice")
    return found


def _no_number(_: str) -> NoReturn:
    raise TokenRefused("a number is none")


_JSON: Final = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_number)


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = _JSON.decode(data.decode("utf-8"))  # decoded here, because json would take UTF-16 too
    except (ValueError, RecursionError):
        raise TokenRefused("header or claims are no JSON") from None
    if not isinstance(found, dict):
        raise TokenRefused("header or claims are no object")
    return found
