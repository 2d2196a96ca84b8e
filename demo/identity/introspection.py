"""What a token is worth, for those to whom it is shown (RFC 7662)."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from demo.identity.client_proof import proven
from demo.identity.errors import NO_STORE, OAuthError
from demo.identity.parameters import form
from demo.identity.provider import Ours
from demo.identity.tokens import described

router = APIRouter()


@router.post("/introspect")
async def introspect(request: Request, ours: Ours) -> JSONResponse:
    """All about an access token for whoever asks; of any other token, that it is not active and nothing else."""
    asked = (await form(request)).once()
    client = proven(request, asked, ours.clients)
    if not client.introspects:
        raise OAuthError("unauthorized_client", "this client may not ask", status=403)
    text = asked.get("token")
    if text is None:
        raise OAuthError("invalid_request", "token is missing")
    token = ours.access_tokens.get(text, ours.now)
    content: dict[str, Any] = {"active": False}
    if token is not None and token.good(ours.now) and token.grant.audience in client.audiences:
        user = {"username": token.grant.subject} if token.grant.session else {}
        content = {"active": True, "token_type": "Bearer", **described(ours, token), **user}
    return JSONResponse(content, headers=NO_STORE)
