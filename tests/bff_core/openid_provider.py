"""An OpenID provider, as an app that a test can break, a ``Provider`` that speaks with it, and its tokens."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from bff_core.auth.provider import Provider
from bff_core.session_settings import SessionSettings
from bff_core.testing import SimulatedInternet
from tests.bff_core.token_issuer import ISSUER, NOW, Signer, ed25519, es256, rs256, token, wall

__all__ = [
    "CLIENT",
    "EVENT",
    "METADATA",
    "NONCE",
    "SECRET",
    "SIGNERS",
    "TOKENS",
    "OpenIdProvider",
    "id_claims",
    "id_token",
    "logout_claims",
    "logout_token",
    "provider",
    "session",
]

CLIENT = "web"
SECRET = "s3cret/ of:web"
NONCE = "n-0123456789"
METADATA = "/realms/store/.well-known/openid-configuration"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
SIGNERS = (rs256(), es256(), ed25519())  # made here, because the first RSA key takes longer than a test may
TOKENS = {"access_token": "access-1", "token_type": "Bearer"}


def session(**changed: Any) -> SessionSettings:
    given = {
        "origin": "https://www.test",
        "issuer": ISSUER,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "keys": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "scopes": ("openid", "profile"),
    }
    return SessionSettings(**{**given, **changed})


def provider(
    app: "OpenIdProvider | None" = None, *, net: SimulatedInternet | None = None, clock: Any = wall, **changed: Any
) -> Provider:
    """One that speaks with ``app``, or whoever is at ``net``."""
    internet = net or SimulatedInternet({"id.test": app or OpenIdProvider()})
    return Provider(session(**changed), internet, "bff-web/1", clock=clock)


def _said(said: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**said, **changed}.items() if value is not None}


def id_claims(**changed: Any) -> dict[str, Any]:
    """What a good ID token says; what is ``None`` is left out."""
    said = {"iss": ISSUER, "aud": CLIENT, "sub": "alice", "exp": NOW + 300, "iat": NOW, "nonce": NONCE, "sid": "s1"}
    return _said(said, changed)


def id_token(signer: Signer | None = None, said: dict[str, Any] | None = None, **header: Any) -> str:
    return token(signer or rs256(), id_claims() if said is None else said, **{"typ": "JWT", **header})


def logout_claims(**changed: Any) -> dict[str, Any]:
    """What a good logout token says; what is ``None`` is left out."""
    said = {
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "alice",
        "sid": "s1",
        "exp": NOW + 120,
        "iat": NOW,
        "jti": "j1",
        "events": {EVENT: {}},
    }
    return _said(said, changed)


def logout_token(signer: Signer | None = None, said: dict[str, Any] | None = None, **header: Any) -> str:
    return token(signer or rs256(), logout_claims() if said is None else said, **{"typ": "logout+jwt", **header})


@dataclass
class OpenIdProvider:
    """Answers as ISSUER does. ``asked`` lists the paths, ``forms`` and ``credentials`` what came with them."""

    signers: list[Signer] = field(default_factory=lambda: list(SIGNERS))
    changed: dict[str, Any] = field(default_factory=dict)
    """What its metadata say differently; what is ``None`` they do not say."""

    reply: Any = field(default_factory=lambda: dict(TOKENS))
    """Of those two endpoints: JSON, or bytes."""

    status: int = 200
    media_type: str = "application/json;charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0
    lost: bool = False
    """The connection breaks when the form was read."""

    down: bool = False
    """It answers 503 to everything."""

    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    credentials: list[str | None] = field(default_factory=list)

    def count(self, ending: str) -> int:
        """How often such a path was asked for."""
        return sum(path.endswith(ending) for path in self.asked)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        self.asked.append(path)
        body = (await receive())["body"]
        if self.down:
            await _send(send, 503, b"", "text/plain", {})
        elif path == METADATA:
            await _send(send, 200, json.dumps(self._metadata()).encode(), "application/json", {})
        elif path.endswith("/keys"):
            keys = {"keys": [one.jwk for one in self.signers]}
            await _send(send, 200, json.dumps(keys).encode(), "application/json", {})
        elif path.endswith(("/token", "/revoke")):
            await self._form(scope, body, send)
        else:
            await _send(send, 404, b"", "text/plain", {})

    async def _form(self, scope: Any, body: bytes, send: Any) -> None:
        headers = dict(scope["headers"])
        assert scope["method"] == "POST"
        assert headers[b"content-type"] == b"application/x-www-form-urlencoded"
        self.forms.append(parse_qs(body.decode("ascii"), strict_parsing=True, keep_blank_values=True))
        self.credentials.append(headers[b"authorization"].decode() if b"authorization" in headers else None)
        if self.lost:
            raise ConnectionResetError
        if self.pause:
            await asyncio.sleep(self.pause)
        content = self.reply if isinstance(self.reply, bytes) else json.dumps(self.reply).encode()
        await _send(send, self.status, content, self.media_type, self.headers)

    def _metadata(self) -> dict[str, Any]:
        said = {
            "issuer": ISSUER,
            "jwks_uri": f"{ISSUER}/keys",
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "revocation_endpoint": f"{ISSUER}/revoke",
            "end_session_endpoint": f"{ISSUER}/end",
            "authorization_response_iss_parameter_supported": True,
        }
        return _said(said, self.changed)


async def _send(send: Any, status: int, body: bytes, media_type: str, headers: dict[str, str]) -> None:
    lines = {"content-type": media_type, "content-length": str(len(body)), **headers}
    written = [(name.encode(), value.encode()) for name, value in lines.items()]
    await send({"type": "http.response.start", "status": status, "headers": written})
    await send({"type": "http.response.body", "body": body})
