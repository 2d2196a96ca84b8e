"""What a token must say to be one of our issuer's, for us, and now (RFC 8725, RFC 9068, RFC 7662).

All of it is asked before a key is looked for: what cannot be ours makes nobody fetch one.
"""

import re
from collections.abc import Mapping
from math import inf
from typing import Any, Final, NamedTuple

from bff_core.auth.jwt import TokenRefused
from bff_core.bearer_settings import BearerSettings
from bff_core.principal import Principal

__all__ = ["ED25519", "Proven", "TokenRules"]

ED25519: Final = "Ed25519"
"""The one name under which both of its names go on (RFC 9864)."""

_ED25519_TOO: Final = "EdDSA"
_ACCESS_TOKEN: Final = "at+jwt"  # noqa: S105  a media type
_LONGEST: Final = 255  # characters of a subject (OpenID Connect Core, 2) or a client
_END_OF_TIME: Final = 253_402_300_800  # the year 10000
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, 3.3
_OTHERS: Final = ("nonce", "at_hash", "c_hash", "events")
"""What ID tokens and logout tokens say, and access tokens do not."""

Claims = Mapping[str, Any]


class Proven(NamedTuple):
    """Who it is, and until when the token says so: seconds since 1970, or infinity."""

    principal: Principal
    expires: float


class TokenRules:
    """Those of one gateway. Every method raises ``TokenRefused``; ``now`` is seconds since 1970."""

    def __init__(self, settings: BearerSettings) -> None:
        self._issuer, self._audience, self._leeway = settings.issuer, settings.audience, settings.leeway
        self._algorithms = {_one_name(name) for name in settings.algorithms}
        self._types = {name.lower() for name in settings.types}

    def algorithm(self, header: Claims) -> str:
        """What it is signed with, under its one name."""
        name = header.get("alg")
        if not isinstance(name, str) or (found := _one_name(name)) not in self._algorithms:
            raise TokenRefused("alg is not among those of the settings")
        if "crit" in header:  # RFC 7515, 4.1.11: we know no extension, so each is unknown
            raise TokenRefused("crit asks for what is not known here")
        return found

    def kid(self, header: Claims) -> str | None:
        """What its key is called, where it says so."""
        kid = header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise TokenRefused("kid is no text")
        return kid

    def signed(self, header: Claims, claims: Claims, now: float) -> Proven:
        """What an access token that is signed says."""
        self._check_kind(header, claims)
        if "exp" not in claims or "sub" not in claims:
            raise TokenRefused("exp or sub is missing")
        if claims.get("iss") != self._issuer:
            raise TokenRefused("iss is another")
        self._check_audience(claims.get("aud"))
        return self._proven(claims, now)

    def introspected(self, answer: Claims, now: float) -> Proven:
        """What the issuer says of an active token; only ``sub`` or ``client_id`` must be there (RFC 7662, 2.2)."""
        if "iss" in answer and answer["iss"] != self._issuer:
            raise TokenRefused("iss is another")
        if "aud" in answer:
            self._check_audience(answer["aud"])
        if "sub" not in answer:  # a program that acts for itself is its own subject (RFC 9068, 2.2)
            answer = {**answer, "sub": answer.get("client_id")}
        return self._proven(answer, now)

    def _check_kind(self, header: Claims, claims: Claims) -> None:
        kind = header.get("typ")
        if kind is not None and (not isinstance(kind, str) or kind.lower() not in self._types):
            raise TokenRefused("typ is another")
        surely = isinstance(kind, str) and kind.lower().removeprefix("application/") == _ACCESS_TOKEN
        if not surely and any(name in claims for name in _OTHERS):
            raise TokenRefused("it is an ID token, or a logout token")

    def _check_audience(self, audience: Any) -> None:
        found = audience if isinstance(audience, list) else [audience]
        if not all(isinstance(one, str) for one in found) or self._audience not in found:
            raise TokenRefused("aud is another")

    def _proven(self, claims: Claims, now: float) -> Proven:
        expires = _moment(claims, "exp", inf)
        if expires <= now - self._leeway:
            raise TokenRefused("it has expired")
        if max(_moment(claims, "nbf", 0), _moment(claims, "iat", 0)) > now + self._leeway:
            raise TokenRefused("it is not valid yet")
        subject = _word(claims, "sub")
        if not subject:
            raise TokenRefused("sub is empty")
        client = _word(claims, "client_id" if "client_id" in claims else "azp")
        return Proven(Principal(self._issuer, subject, _scopes(claims), client), expires)


def _one_name(algorithm: str) -> str:
    return ED25519 if algorithm == _ED25519_TOO else algorithm


def _moment(claims: Claims, name: str, default: float) -> float:
    if name not in claims:
        return default
    found = claims[name]
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < _END_OF_TIME:
        raise TokenRefused(f"{name} is no moment")
    return found


def _word(claims: Claims, name: str) -> str:
    """Fit for a log and a header: short, and without anything that cannot be printed."""
    found = claims.get(name, "")
    if not isinstance(found, str) or len(found) > _LONGEST or not found.isprintable():
        raise TokenRefused(f"{name} is no text, or too long")
    return found


def _scopes(claims: Claims) -> frozenset[str]:
    found = claims.get("scope" if "scope" in claims else "scp", [])
    if isinstance(found, str):
        found = found.split()
    if not isinstance(found, list) or not all(isinstance(one, str) and _SCOPE.fullmatch(one) for one in found):
        raise TokenRefused("scope is no list of words")
    return frozenset(found)
