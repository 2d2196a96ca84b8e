"""Who the user is, for clients that were allowed to know (OIDC Core, section 5.3)."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from demo.identity.errors import NO_STORE, OAuthError
from demo.identity.grants import AccessToken
from demo.identity.provider import Ours, Provider
from demo.identity.users import claims_of

router = APIRouter()


@router.api_route("/userinfo", methods=["GET", "POST"])
async def userinfo(request: Request, ours: Ours) -> JSONResponse:
    """As much as the scopes of the token allow."""
    token = _shown(request, ours)
    session = token.grant.session
    if session is None or "openid" not in token.scopes:
        raise _refused(403, "insufficient_scope", "the token is not of openid")
    return JSONResponse(claims_of(session.user, token.scopes), headers=NO_STORE)


def _shown(request: Request, ours: Provider) -> AccessToken:
    shown = request.headers.getlist("authorization")
    if not shown:
        raise OAuthError("invalid_token", "show an access token", status=401, headers={"www-authenticate": "Bearer"})
    scheme, _, text = shown[0].partition(" ")
    token = ours.access_tokens.get(text.strip(), ours.now)
    if len(shown) > 1 or scheme.lower() != "bearer" or token is None or not token.good(ours.now):
        raise _refused(401, "invalid_token", "the token is not good, or not good any more")
    return token


def _refused(status: int, error: str, description: str) -> OAuthError:
    """As RFC 6750, section 3, wants it: in the header, and in the body for people."""
    challenge = f'Bearer error="{error}", error_description="{description}"'
    return OAuthError(error, description, status=status, headers={"www-authenticate": challenge})
