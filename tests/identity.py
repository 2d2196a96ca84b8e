"""The store's identity provider without a network, and who comes to it: browsers, and clients with what they know."""

import html
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from bff_core.testing.internet import ASGIApp
from demo.identity.app import ISSUER, create_identity
from demo.identity.clients import Clients, load
from tests.store import answer

VERIFIER = "a-verifier-of-forty-three-characters-or-more"
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
PASSWORDS = {"alice": "alice-reads-books", "bob": "bob-reads-too"}
WEB = ("web", "web-secret-that-everyone-may-know")
ACME = ("acme", "acme-secret-that-everyone-may-know")
GATEWAY = ("gateway", "gateway-secret-that-everyone-may-know")
ASKED = {
    "response_type": "code",
    "client_id": "web",
    "redirect_uri": "http://localhost:8000/login/callback",
    "scope": "openid profile email orders:read",
    "state": "st4te",
    "nonce": "n0nce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
APP = ASKED | {"client_id": "mobile", "redirect_uri": "org.example.bookshop:/callback"}
CONTENT = answer(b"")


class Identity:
    """A provider whose clock stands still unless a test moves it. ``answering`` is who listens for its logouts."""

    def __init__(self, folder: Path, clients: Clients | None = None, *, answering: ASGIApp = CONTENT, **settings):
        self.now = 1_800_000_000.0
        clients, transport = clients or load(), httpx.ASGITransport(answering)
        self.app = create_identity(folder, clients, clock=lambda: self.now, transport=transport, **settings)
        self.http = self.caller()

    def caller(self) -> httpx.AsyncClient:
        """Somebody with a jar of cookies of their own."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=self.app.state.provider.issuer)

    def browser(self) -> "Visitor":
        """A browser that was never here before."""
        return Visitor(self.caller())

    async def token(self, auth: tuple[str, str] | None = None, **form: str) -> httpx.Response:
        """What the token endpoint says to this."""
        return await self.http.post("/token", data=form, auth=auth or httpx.USE_CLIENT_DEFAULT)

    async def redeem(self, code: str, /, **form: str) -> httpx.Response:
        """What web gets for a code, but for what is said otherwise."""
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": ASKED["redirect_uri"]}
        return await self.token(WEB, **(asked | {"code_verifier": VERIFIER} | form))

    async def redeem_app(self, code: str) -> dict[str, Any]:
        """What the app for phones gets for a code."""
        form = {"grant_type": "authorization_code", "redirect_uri": APP["redirect_uri"], "client_id": "mobile"}
        return (await self.token(**form, code=code, code_verifier=VERIFIER)).json()

    async def refresh(self, token: str, **form: str) -> httpx.Response:
        """What web gets for a refresh token."""
        return await self.token(WEB, grant_type="refresh_token", refresh_token=token, **form)

    async def log_in(self, user: str = "alice", asked: Mapping[str, str] = ASKED) -> dict[str, Any]:
        """What web gets when this user logs in with a new browser."""
        reply = await self.redeem(await self.browser().code(user, asked))
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def introspect(self, token: str) -> dict[str, Any]:
        """What the provider says to a gateway about a token."""
        return (await self.http.post("/introspect", data={"token": token}, auth=GATEWAY)).json()

    async def revoke(self, token: str, auth: tuple[str, str] = WEB) -> httpx.Response:
        """What the provider says to a client that needs a token no longer."""
        return await self.http.post("/revoke", data={"token": token}, auth=auth)

    async def claims(self, token: str, *, typ: str, aud: str, alg: str = "ES256") -> dict[str, Any]:
        """What a token says, verified as anybody could who knows the provider's address and nothing else."""
        keys = KeySet.import_key_set((await self.http.get("/jwks")).json())
        found = jwt.decode(token, keys, algorithms=[alg])
        assert found.header["typ"] == typ
        wanted = {"iss": ISSUER, "aud": aud}
        needed = {name: {"essential": True, "value": value} for name, value in wanted.items()}
        needed |= {name: {"essential": True} for name in ("exp", "iat", "sub")}
        JWTClaimsRegistry(now=int(self.now), leeway=0, **needed).validate(found.claims)
        return found.claims


@dataclass
class Visitor:
    """A browser: it has cookies, fills in forms, and stops where it would leave the provider."""

    http: httpx.AsyncClient
    password: Mapping[str, str] = field(default_factory=lambda: PASSWORDS)

    async def open(self, asked: Mapping[str, str] | Iterable[tuple[str, str]] = ASKED) -> httpx.Response:
        """What an authorization request is answered with."""
        return await self.http.get("/authorize", params=httpx.QueryParams(asked))

    async def send(self, page: httpx.Response, **filled: str) -> httpx.Response:
        """Send the form of a page, with this filled in."""
        action = html.unescape(re.search(r'<form method="post" action="([^"]+)"', page.text)[1])
        proof = re.search(r'name="proof" value="([^"]+)"', page.text)[1]
        return await self.http.post(action, data={"proof": proof, **filled})

    async def log_in(self, user: str = "alice", asked: Mapping[str, str] = ASKED) -> httpx.Response:
        """Fill in the login page."""
        return await self.send(await self.open(asked), username=user, password=PASSWORDS[user])

    async def code(self, user: str = "alice", asked: Mapping[str, str] = ASKED) -> str:
        """The code that this comes to."""
        return returned(await self.log_in(user, asked))["code"]


def returned(reply: httpx.Response) -> dict[str, str]:
    """What a redirect to a client says."""
    assert reply.status_code == 303, reply.text
    query = parse_qs(urlsplit(reply.headers["location"]).query, strict_parsing=True)
    assert all(len(values) == 1 for values in query.values())
    return {name: value for name, (value,) in query.items()}


def without(asked: Mapping[str, str], *names: str) -> dict[str, str]:
    """The same, but for these."""
    return {name: value for name, value in asked.items() if name not in names}
