"""Where the answer to an authorization request goes: never to anywhere that is not registered."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from starlette.responses import Response

from demo.identity.clients import Client, Clients
from demo.identity.errors import NO_STORE, Misled
from demo.identity.parameters import Parameters


@dataclass(frozen=True)
class Target:
    """A client, and where it wants to hear from us."""

    client: Client
    redirect_uri: str
    state: str | None
    issuer: str

    def answer(self, **parameters: str) -> Response:
        """Send the browser there with these, the client's own state, and who says so (RFC 9207)."""
        state = {} if self.state is None else {"state": self.state}
        return sent_to(self.redirect_uri, {**parameters, **state, "iss": self.issuer})


def target_of(parameters: Parameters, clients: Clients, issuer: str) -> Target:
    """Where to; Misled when it is not clear beyond doubt (RFC 9700, section 4.1)."""
    if parameters.repeated & {"client_id", "redirect_uri"}:
        raise Misled("The request names two clients, or two places to return to.")
    client = clients.get(parameters.get("client_id") or "")
    if client is None:
        raise Misled("The request comes from a client that is not registered here.")
    redirect_uri = parameters.get("redirect_uri") or ""
    if not client.takes(redirect_uri):
        raise Misled(f"The place to return to is not one of {client.name}.")
    state = None if "state" in parameters.repeated else parameters.get("state")
    return Target(client, redirect_uri, state, issuer)


def sent_to(uri: str, parameters: dict[str, str]) -> Response:
    """A redirect; 303, so that no form is ever sent on (RFC 9700, section 4.12)."""
    if parameters:
        uri += ("&" if "?" in uri else "?") + urlencode(parameters, quote_via=quote)
    return Response(status_code=303, headers={**NO_STORE, "location": uri, "referrer-policy": "no-referrer"})
