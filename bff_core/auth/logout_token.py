"""What a logout token must say, and who is to be logged out by it (OpenID Connect Back-Channel Logout, 2.4 and 2.6).

All of it is asked before a key is looked for: anyone may send one, and what cannot be ours makes nobody fetch one.
"""

from typing import Final, NamedTuple

from bff_core.auth.claims import Claims, audiences, check_kind, expiry, moment, said_word
from bff_core.auth.jwt import TokenRefused
from bff_core.session_settings import SessionSettings

__all__ = ["LogoutOrder", "LogoutTokenRules"]

_KINDS: Final = frozenset({"logout+jwt", "application/logout+jwt", "jwt"})
_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_OLDEST: Final = 300.0  # seconds


class LogoutOrder(NamedTuple):
    """One login, or, without ``session_id``, all of a person, is to be ended. Moments are seconds since 1970."""

    subject: str
    session_id: str
    """One of the two may be empty, and never both."""

    jti: str
    """By which the same order is known again,"""

    issued: float
    until: float
    """which is good until then, and refused after it: so long its ``jti`` must be remembered."""


class LogoutTokenRules:
    """Those of one gateway."""

    def __init__(self, settings: SessionSettings) -> None:
        self._issuer, self._client, self._leeway = settings.issuer, settings.client_id, settings.leeway

    def order(self, header: Claims, claims: Claims, now: float) -> LogoutOrder:
        """Who is to be logged out. Raises ``TokenRefused``. ``now`` is seconds since 1970.

        ``exp`` may be missing, which providers older than the final text do: no token is taken that is older than five
        minutes, whatever it says.
        """
        _check_it_is_one(header, claims)
        if claims.get("iss") != self._issuer:
            raise TokenRefused("iss is another")
        audiences(claims, self._client)
        expires = expiry(claims, now, self._leeway)
        issued = moment(claims, "iat", 0)
        until = min(expires, issued + _OLDEST) + self._leeway
        if until <= now:
            raise TokenRefused("it is too old")
        who, session_id = said_word(claims, "sub"), said_word(claims, "sid")
        if not who and not session_id:
            raise TokenRefused("neither sub nor sid is there")
        return LogoutOrder(who, session_id, said_word(claims, "jti"), issued, until)


def _check_it_is_one(header: Claims, claims: Claims) -> None:
    check_kind(header, _KINDS)
    if "nonce" in claims:
        raise TokenRefused("it is an ID token")
    if any(name not in claims for name in ("iat", "jti")):
        raise TokenRefused("iat or jti is missing")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(_EVENT), dict):
        raise TokenRefused("it does not say that somebody has logged out")
