"""The provider's own cookies."""

from fastapi import Request
from starlette.responses import Response

SESSION = "identity_session"
FORM = "identity_form"


def read(request: Request, issuer: str, name: str) -> str:
    """Its value, or nothing."""
    return request.cookies.get(_named(issuer, name), "")


def write(response: Response, issuer: str, name: str, value: str) -> None:
    """Until the browser is closed. Lax, because people come here from the pages of clients, which are another site."""
    secure = issuer.startswith("https:")
    response.set_cookie(_named(issuer, name), value, secure=secure, httponly=True, samesite="lax")


def clear(response: Response, issuer: str, name: str) -> None:
    """Make the browser forget it."""
    secure = issuer.startswith("https:")
    response.delete_cookie(_named(issuer, name), secure=secure, httponly=True, samesite="lax")


def _named(issuer: str, name: str) -> str:
    # the prefix keeps others on this host from planting one, and wants TLS
    return f"__Host-{name}" if issuer.startswith("https:") else name
