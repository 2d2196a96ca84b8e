"""What the provider says about itself (OIDC Discovery 1.0, RFC 8414)."""

from typing import Any

from fastapi import APIRouter, Response

from demo.answers import answer
from demo.identity.authorization import PROMPTS
from demo.identity.client_proof import METHODS
from demo.identity.keys import ALGORITHMS
from demo.identity.provider import Ours, Provider
from demo.identity.token_endpoint import EXCHANGES

CACHE = "public, max-age=60"
CLAIMS = "iss sub aud exp iat auth_time nonce sid at_hash name preferred_username email email_verified"

router = APIRouter()


@router.get("/.well-known/openid-configuration")
@router.get("/.well-known/oauth-authorization-server")
async def metadata(ours: Ours) -> Response:
    """Where everything is, and what it can do."""
    return answer(_endpoints(ours.issuer) | _abilities(ours), cache=CACHE)


@router.get("/jwks")
async def jwks(ours: Ours) -> Response:
    """The public keys."""
    return answer(ours.keys.public(), cache=CACHE)


def _endpoints(issuer: str) -> dict[str, str]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "jwks_uri": f"{issuer}/jwks",
        "introspection_endpoint": f"{issuer}/introspect",
        "revocation_endpoint": f"{issuer}/revoke",
        "end_session_endpoint": f"{issuer}/end_session",
    }


def _abilities(ours: Provider) -> dict[str, Any]:
    secrets = [method for method in METHODS if method != "none"]
    return {
        "scopes_supported": sorted({scope for client in ours.clients.values() for scope in client.scopes}),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(EXCHANGES),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(ALGORITHMS),
        "token_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "introspection_endpoint_auth_methods_supported": secrets,
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": list(PROMPTS),
        "claims_supported": CLAIMS.split(),
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,  # said, because it is true where nothing is said
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
    }
