"""What a token must say to be one of our issuer's, for us, and now (RFC 8725, RFC 9068, RFC 7662).

All of it is asked before a key is looked for: what cannot be ours makes nobody fetch one.
"""

import re
from typing import Final, NamedTuple

from bff_core.auth.claims import Claims, audiences, check_kind, expiry, subject, word
from bff_core.auth.jwt import TokenRefused
from bff_core.bearer_settings import BearerSettings
from bff_core.principal import Principal

__all__ = ["Proven", "TokenRules"]

_ACCESS_TOKEN: Final = "at+jwt"  # noqa: S105  a media type
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, 3.3
_OTHERS: Final = ("nonce", "at_hash", "c_hash", "events")
"""What ID tokens and logout tokens say, and access tokens do not."""


class Proven(NamedTuple):
    """Who it is, and until when the token says so: seconds since 1970, or infinity."""

    principal: Principal
    expires: float


class TokenRules:
    """Those of one gateway. Every method raises ``TokenRefused``; ``now`` is seconds since 1970."""

    def __init__(self, settings: BearerSettings) -> None:
        self._issuer, self._audience, self._leeway = settings.issuer, settings.audience, settings.leeway
        self._types = {name.lower() for name in settings.types}

    def signed(self, header: Claims, claims: Claims, now: float) -> Proven:
        """What an access token that is signed says."""
        self._check_kind(header, claims)
        if "exp" not in claims or "sub" not in claims:
            raise TokenRefused("exp or sub is missing")
        if claims.get("iss") != self._issuer:
            raise TokenRefused("iss is another")
        audiences(claims, self._audience)
        return self._proven(claims, now)

    def introspected(self, answer: Claims, now: float) -> Proven:
        """What the issuer says of an active token; only ``sub`` or ``client_id`` must be there (RFC 7662, 2.2)."""
        if "iss" in answer and answer["iss"] != self._issuer:
            raise TokenRefused("iss is another")
        if "aud" in answer:
            audiences(answer, self._audience)
        if "sub" not in answer:  # a program that acts for itself is its own subject (RFC 9068, 2.2)
            answer = {**answer, "sub": answer.get("client_id")}
        return self._proven(answer, now)

    def _check_kind(self, header: Claims, claims: Claims) -> None:
        check_kind(header, self._types)
        kind = header.get("typ")
        surely = isinstance(kind, str) and kind.lower().removeprefix("application/") == _ACCESS_TOKEN
        if not surely and any(name in claims for name in _OTHERS):
            raise TokenRefused("it is an ID token, or a logout token")

    def _proven(self, claims: Claims, now: float) -> Proven:
        expires = expiry(claims, now, self._leeway)
        who = subject(claims)
        client = word(claims, "client_id" if "client_id" in claims else "azp")
        return Proven(Principal(self._issuer, who, _scopes(claims), client), expires)


def _scopes(claims: Claims) -> frozenset[str]:
    found = claims.get("scope" if "scope" in claims else "scp", [])
    if isinstance(found, str):
        found = found.split()
    if not isinstance(found, list) or not all(isinstance(one, str) and _SCOPE.fullmatch(one) for one in found):
        raise TokenRefused("scope is no list of words")
    return frozenset(found)
