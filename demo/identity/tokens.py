"""Tokens of every kind, as they leave the house."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

from demo.identity.clients import Client
from demo.identity.grants import LIFETIME, AccessToken, Grant, RefreshToken
from demo.identity.provider import Provider
from demo.identity.sessions import Session
from demo.identity.users import claims_of

LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_LIFETIME = 120


def issue(
    provider: Provider, grant: Grant, scopes: tuple[str, ...], *, nonce: str | None = None
) -> dict[str, str | int]:
    """The answer of the token endpoint (RFC 6749, section 5.1; OIDC Core, section 3.1.3.3)."""
    access = _access_token(provider, grant, scopes)
    answer: dict[str, str | int] = {
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": provider.access_lifetime,
        "scope": " ".join(scopes),
    }
    if grant.session and "openid" in grant.scopes:
        answer["id_token"] = _id_token(provider, grant, grant.session, scopes, access, nonce)
    if grant.session and "refresh_token" in grant.client.grants:
        answer["refresh_token"] = _refresh_token(provider, grant)
    return answer


def logout_token(provider: Provider, client: Client, session: Session) -> str:
    """Tells a client that a session is over (OIDC Back-Channel Logout, section 2.4)."""
    now = int(provider.now)
    claims = {
        "iss": provider.issuer,
        "aud": client.id,
        "sub": session.user.id,
        "sid": session.id,
        "iat": now,
        "exp": now + LOGOUT_LIFETIME,
        "jti": token_urlsafe(16),
        "events": {LOGOUT: {}},
    }
    return provider.keys.sign(claims, algorithm=client.algorithm, kind="logout+jwt")


def half_hash(token: str) -> str:
    """`at_hash`, for ES256 and RS256 (OIDC Core, section 3.1.3.6)."""
    return b64(sha256(token.encode()).digest()[:16])


def b64(data: bytes) -> str:
    """Base64 for URLs, without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def described(provider: Provider, token: AccessToken) -> dict[str, Any]:
    """What an access token says (RFC 9068, section 2.2)."""
    grant = token.grant
    claims = {
        "iss": provider.issuer,
        "sub": grant.subject,
        "aud": grant.audience,
        "client_id": grant.client.id,
        "scope": " ".join(token.scopes),
        "iat": int(token.issued),
        "exp": int(token.until),
        "jti": token.id,
    }
    return claims | ({"auth_time": int(grant.auth_time), "sid": grant.session.id} if grant.session else {})


def _access_token(provider: Provider, grant: Grant, scopes: tuple[str, ...]) -> str:
    now = int(provider.now)
    token = AccessToken(grant, token_urlsafe(16), scopes, now, now + provider.access_lifetime)
    if grant.client.opaque:
        text = token_urlsafe(32)
    else:
        text = provider.keys.sign(described(provider, token), algorithm=grant.client.algorithm, kind="at+jwt")
    provider.access_tokens.put(text, token, provider.now)
    return text


def _refresh_token(provider: Provider, grant: Grant) -> str:
    text = token_urlsafe(32)
    provider.refresh_tokens.put(text, RefreshToken(grant, grant.auth_time + LIFETIME), provider.now)
    return text


def _id_token(
    provider: Provider, grant: Grant, session: Session, scopes: tuple[str, ...], access: str, nonce: str | None
) -> str:
    now = int(provider.now)
    claims = {
        **claims_of(session.user, scopes),
        "iss": provider.issuer,
        "aud": grant.client.id,
        "iat": now,
        "exp": now + provider.access_lifetime,
        "auth_time": int(grant.auth_time),
        "sid": session.id,
        "at_hash": half_hash(access),
    }
    return provider.keys.sign(
        claims | ({"nonce": nonce} if nonce is not None else {}), algorithm=grant.client.algorithm, kind="JWT"
    )
