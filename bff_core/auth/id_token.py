"""What an ID token must say, and whom it says to be logged in (OpenID Connect Core, 3.1.3.7).

All of it is asked before a key is looked for: what cannot be ours makes nobody fetch one.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256, sha512
from hmac import compare_digest
from typing import Any, Final, NamedTuple

from bff_core.auth.algorithms import ED25519, one_name
from bff_core.auth.claims import Claims, audiences, check_kind, expiry, subject, word
from bff_core.auth.jwt import TokenRefused
from bff_core.session_settings import SessionSettings

__all__ = ["IdTokenRules", "LoggedIn"]

_KINDS: Final = frozenset({"jwt"})
_NEEDED: Final = ("exp", "iat", "sub")
_LONGEST_NAME: Final = 100  # characters


class LoggedIn(NamedTuple):
    """Who it is. At a refresh, issuer and subject must be those of the login (OpenID Connect Core, 12.2)."""

    subject: str
    session_id: str
    """What the provider calls this login (``sid``); empty where it does not say."""

    name: str
    """To be shown: short, and of nothing that cannot be printed; empty where the provider knows none."""

    issuer: str


class IdTokenRules:
    """Those of one gateway."""

    def __init__(self, settings: SessionSettings) -> None:
        self._issuer, self._client, self._leeway = settings.issuer, settings.client_id, settings.leeway

    def logged_in(
        self, header: Claims, claims: Claims, now: float, *, nonce: str | None, access_token: str | None
    ) -> LoggedIn:
        """Whom it says to be logged in. Raises ``TokenRefused``. ``now`` is seconds since 1970.

        ``nonce`` is that of the login, ``None`` at a refresh, where the provider need not repeat it. ``access_token``
        is what came with it, and is held against ``at_hash`` where that is said.
        """
        _check_it_is_one(header, claims)
        if claims.get("iss") != self._issuer:
            raise TokenRefused("iss is another")
        self._check_audience(claims)
        expiry(claims, now, self._leeway)
        if nonce is not None and not _same(nonce, claims.get("nonce")):
            raise TokenRefused("nonce is not that of this login")
        if access_token is not None and "at_hash" in claims:
            _check_half_hash(header, claims, access_token)
        return LoggedIn(subject(claims), word(claims, "sid"), _name(claims), self._issuer)

    def _check_audience(self, claims: Claims) -> None:
        several = len(set(audiences(claims, self._client))) > 1
        if (several or "azp" in claims) and claims.get("azp") != self._client:
            raise TokenRefused("azp is another, or missing")


def _check_it_is_one(header: Claims, claims: Claims) -> None:
    check_kind(header, _KINDS)
    if "events" in claims:
        raise TokenRefused("it is a logout token")
    if any(name not in claims for name in _NEEDED):
        raise TokenRefused("exp, iat or sub is missing")


def _check_half_hash(header: Claims, claims: Claims, access_token: str) -> None:
    # by the hash of the algorithm (OpenID Connect Core, 3.1.3.6); that of Ed25519 is SHA-512 (RFC 8032)
    used = sha512 if one_name(str(header.get("alg"))) == ED25519 else sha256
    digest = used(access_token.encode()).digest()
    half = urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")
    if not _same(half, claims["at_hash"]):
        raise TokenRefused("at_hash is not that of the access token")


def _same(ours: str, theirs: Any) -> bool:
    if not isinstance(theirs, str) or not ours:
        return False
    return compare_digest(ours.encode(), theirs.encode("utf-8", "surrogatepass"))


def _name(claims: Mapping[str, Any]) -> str:
    # cleaned, never refused, because nothing is decided by it
    for claim in ("name", "preferred_username"):
        found = claims.get(claim)
        if isinstance(found, str):
            shown = "".join(one for one in found[: 4 * _LONGEST_NAME] if one.isprintable()).strip()[:_LONGEST_NAME]
            if shown:
                return shown
    return ""
