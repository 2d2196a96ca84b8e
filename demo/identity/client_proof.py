"""Which client it is that asks (RFC 6749, section 2.3)."""

from base64 import b64decode
from hmac import compare_digest
from urllib.parse import unquote_plus

from fastapi import Request

from demo.identity.clients import Client, Clients
from demo.identity.errors import OAuthError
from demo.identity.parameters import Parameters

METHODS = ("client_secret_basic", "client_secret_post", "none")


def proven(request: Request, form: Parameters, clients: Clients) -> Client:
    """The client, by its secret, or by its name alone where it has none; OAuthError otherwise."""
    if form.get("client_assertion") or form.get("client_assertion_type"):
        raise _unknown("assertions are not taken")
    name, secret = _shown(request, form)
    client = clients.get(name)
    if client is None or not _same(client.secret, secret):
        raise _unknown("there is no such client, or it has another secret")
    return client


def _shown(request: Request, form: Parameters) -> tuple[str, str | None]:
    shown = request.headers.getlist("authorization")
    if not shown:
        return form.get("client_id") or "", form.get("client_secret")
    if len(shown) > 1 or form.get("client_secret"):
        raise OAuthError("invalid_request", "prove who you are in one way")
    name, secret = _basic(shown[0])
    if form.get("client_id") not in {None, name}:
        raise OAuthError("invalid_request", "two clients are named")
    return name, secret


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        name, colon, secret = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        name = colon = secret = ""
    if scheme.lower() != "basic" or not colon:
        raise _unknown("the authorization is not Basic")
    return unquote_plus(name), unquote_plus(secret)  # which RFC 6749, 2.3.1, asks for and many forget


def _same(ours: str | None, theirs: str | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return compare_digest(ours.encode(), theirs.encode())


def _unknown(description: str) -> OAuthError:
    return OAuthError("invalid_client", description, status=401, headers={"www-authenticate": 'Basic realm="identity"'})
