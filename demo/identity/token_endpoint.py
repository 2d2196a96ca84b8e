"""The token endpoint: what a code, a refresh token or a client's own word is exchanged for."""

import re
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from demo.identity.client_proof import proven
from demo.identity.clients import Client
from demo.identity.errors import NO_STORE, OAuthError
from demo.identity.grants import Code, Grant
from demo.identity.parameters import Parameters, form
from demo.identity.provider import Ours, Provider
from demo.identity.tokens import b64, issue

VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")

router = APIRouter()


@router.post("/token")
async def token(request: Request, ours: Ours) -> JSONResponse:
    """Tokens (RFC 6749, section 5)."""
    asked = (await form(request)).once()
    client = proven(request, asked, ours.clients)
    kind = asked.get("grant_type") or ""
    if not kind:
        raise OAuthError("invalid_request", "grant_type is missing")
    exchange = EXCHANGES.get(kind)
    if exchange is None:
        raise OAuthError("unsupported_grant_type", "there is no such grant here")
    if kind not in client.grants:
        raise OAuthError("unauthorized_client", "this grant is not for this client")
    return JSONResponse(exchange(ours, client, asked), headers=NO_STORE)


def _by_code(ours: Provider, client: Client, asked: Parameters) -> dict[str, str | int]:
    code, verifier = _needed(asked, "code"), _needed(asked, "code_verifier")
    found = ours.codes.get(code, ours.now)
    if found is None or found.grant.client != client:
        raise OAuthError("invalid_grant", "there is no such code for this client")
    if found.used:
        found.grant.ended = True  # RFC 6749, 4.1.2: one of the two who had it has stolen it
        raise OAuthError("invalid_grant", "the code has been used")
    found.used = True  # right or wrong, so that nobody tries verifiers
    _check(found, asked, verifier, ours.now)
    _check_resource(found.grant, asked)
    return issue(ours, found.grant, found.grant.scopes, nonce=found.nonce)


def _check(code: Code, asked: Parameters, verifier: str, now: float) -> None:
    if code.until <= now or not code.grant.lives:
        raise OAuthError("invalid_grant", "the code has expired")
    if asked.get("redirect_uri") != code.redirect_uri:
        raise OAuthError("invalid_grant", "the code was sent to another redirect_uri")
    if not VERIFIER.fullmatch(verifier):
        raise OAuthError("invalid_grant", "code_verifier is malformed")
    if not compare_digest(b64(sha256(verifier.encode()).digest()), code.challenge):
        raise OAuthError("invalid_grant", "code_verifier is not that of the code")


def _by_refresh_token(ours: Provider, client: Client, asked: Parameters) -> dict[str, str | int]:
    found = ours.refresh_tokens.get(_needed(asked, "refresh_token"), ours.now)
    if found is None or found.grant.client != client or not found.grant.lives or found.until <= ours.now:
        raise OAuthError("invalid_grant", "there is no such refresh token for this client")
    if found.used:
        found.grant.ended = True
        raise OAuthError("invalid_grant", "the refresh token has been used")
    scopes = _narrowed(found.grant.scopes, asked)
    _check_resource(found.grant, asked)
    found.used = True
    return issue(ours, found.grant, scopes)


def _for_itself(ours: Provider, client: Client, asked: Parameters) -> dict[str, str | int]:
    scopes = _narrowed(client.scopes, asked)
    audience = asked.get("resource") or client.audiences[0]
    if audience not in client.audiences:
        raise OAuthError("invalid_target", "this client gets no tokens for that resource")
    return issue(ours, Grant(client, scopes, audience, None, ours.now), scopes)


EXCHANGES: dict[str, Callable[[Provider, Client, Parameters], dict[str, str | int]]] = {
    "authorization_code": _by_code,
    "refresh_token": _by_refresh_token,
    "client_credentials": _for_itself,
}


def _needed(asked: Parameters, name: str) -> str:
    value = asked.get(name)
    if value is None:
        raise OAuthError("invalid_request", f"{name} is missing")
    return value


def _narrowed(most: tuple[str, ...], asked: Parameters) -> tuple[str, ...]:
    scope = asked.get("scope")
    if scope is None:
        return most
    scopes = tuple(dict.fromkeys(scope.split()))
    if not scopes or not set(scopes) <= set(most):
        raise OAuthError("invalid_scope", "more is asked for than there is")
    return scopes


def _check_resource(grant: Grant, asked: Parameters) -> None:
    if asked.get("resource") not in {None, grant.audience}:
        raise OAuthError("invalid_target", "the grant is for another resource")
