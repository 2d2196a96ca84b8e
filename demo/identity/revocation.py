"""Tokens that a client needs no longer (RFC 7009)."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from demo.identity.client_proof import proven
from demo.identity.errors import NO_STORE, OAuthError
from demo.identity.parameters import form
from demo.identity.provider import Ours

router = APIRouter()


@router.post("/revoke")
async def revoke(request: Request, ours: Ours) -> Response:
    """End an access token, or a refresh token and everything of its family. Unknown ones are no error."""
    asked = (await form(request)).once()
    client = proven(request, asked, ours.clients)
    text = asked.get("token")
    if text is None:
        raise OAuthError("invalid_request", "token is missing")
    # the hint of what kind it is would only save a look
    access, refresh = ours.access_tokens.get(text, ours.now), ours.refresh_tokens.get(text, ours.now)
    found = access or refresh
    if found is not None and found.grant.client != client:
        raise OAuthError("invalid_grant", "the token is of another client")
    if access is not None:
        access.revoked = True
    elif refresh is not None:
        refresh.grant.ended = True
    return Response(headers=NO_STORE)
