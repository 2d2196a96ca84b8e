"""An issuer of tokens, as an app that a test can break, and tokens of every kind: good, forged and malformed."""

import asyncio
import json
import warnings
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from joserfc.errors import SecurityWarning
from joserfc.jwk import generate_key
from joserfc.jws import JWSRegistry

from bff_core.auth.bearer import Bearer
from bff_core.auth.contract import Presented
from bff_core.bearer_settings import BearerSettings
from bff_core.principal import Principal
from bff_core.testing import SimulatedInternet

__all__ = [
    "AUDIENCE",
    "ISSUER",
    "NOW",
    "Signer",
    "TokenIssuer",
    "base64url",
    "bearer",
    "bearing",
    "claims",
    "ed25519",
    "es256",
    "judge",
    "rs256",
    "sealed",
    "settings",
    "token",
    "wall",
]

ISSUER = "https://id.test/realms/store"
AUDIENCE = "https://mobile.test"
NOW = 1_800_000_000.0
"""When the clock of a loop in virtual time says 0."""

_KEY_TYPES = {"RS256": ("RSA", 2048), "ES256": ("EC", "P-256"), "Ed25519": ("OKP", "Ed25519")}


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """A key pair. ``jwk`` is the public one, as it is published."""

    def __init__(self, algorithm: str, kid: str | None, kind: str, size: Any) -> None:
        self.algorithm, self.kid = algorithm, kid
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # of keys that are weak on purpose
            self.key: Any = generate_key(kind, size)
        self.jwk: dict[str, Any] = {**self.key.as_dict(private=False), "use": "sig", "alg": algorithm}
        if kid is not None:
            self.jwk["kid"] = kid

    def sign(self, text: bytes) -> bytes:
        return JWSRegistry.algorithms[self.algorithm].sign(text, self.key)


@cache
def _signer(algorithm: str, kid: str | None) -> Signer:
    return Signer(algorithm, kid, *_KEY_TYPES[algorithm])


def rs256(kid: str | None = "rsa") -> Signer:
    return _signer("RS256", kid)


def es256(kid: str | None = "ec") -> Signer:
    return _signer("ES256", kid)


def ed25519(kid: str | None = "ed") -> Signer:
    return _signer("Ed25519", kid)


def claims(now: float = NOW, **changed: Any) -> dict[str, Any]:
    """What a good token says; what is ``None`` is left out."""
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "exp": now + 600,
        "iat": now,
        "scope": "orders:read profile",
        "client_id": "phone",
        **changed,
    }
    return {name: value for name, value in said.items() if value is not None}


def sealed(header: bytes | str, payload: bytes | str, sign: Callable[[bytes], bytes]) -> str:
    """A token of these very bytes."""
    raw = [part if isinstance(part, bytes) else part.encode() for part in (header, payload)]
    text = ".".join(map(base64url, raw))
    return f"{text}.{base64url(sign(text.encode()))}"


def token(signer: Signer, said: Mapping[str, Any] | None = None, **header: Any) -> str:
    """A token of ``said``, or a good one; ``header`` is changed, and what is ``None`` is left out."""
    names = {"alg": signer.algorithm, "kid": signer.kid, "typ": "at+jwt", **header}
    written = {name: value for name, value in names.items() if value is not None}
    return sealed(json.dumps(written), json.dumps(claims() if said is None else said), signer.sign)


@dataclass
class TokenIssuer:
    """Answers as ISSUER does. ``asked`` lists the paths; ``pause`` is how long each answer takes."""

    signers: list[Signer] = field(default_factory=lambda: [rs256(), es256(), ed25519()])
    issuer: str = ISSUER
    jwks_uri: str = f"{ISSUER}/keys"
    keys: Any = None
    """Instead of the keys of ``signers``."""

    headers: dict[str, str] = field(default_factory=dict)
    metadata_path: str = "/realms/store/.well-known/openid-configuration"
    introspects: bool = True
    pause: float = 0.0
    status: int = 200
    opaque: dict[str, Any] = field(default_factory=dict)
    """What is said of tokens; of others, that they are not active."""

    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)

    @property
    def fetched(self) -> int:
        """How often the keys were."""
        return self.asked.count("/realms/store/keys")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        body = (await receive())["body"]
        if self.pause:
            await asyncio.sleep(self.pause)
        status, content = self._answer(scope, body)
        headers = [(b"content-type", b"application/json"), *((k.encode(), v.encode()) for k, v in self.headers.items())]
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers.append((b"content-length", b"%d" % len(data)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    def _answer(self, scope: Any, body: bytes) -> tuple[int, Any]:
        if self.status != 200:
            return self.status, {}
        path = scope["path"]
        if path == self.metadata_path:
            return 200, {
                "issuer": self.issuer,
                "jwks_uri": self.jwks_uri,
                "introspection_endpoint": f"{self.issuer}/introspect" if self.introspects else None,
                "other": 1,
            }
        if path.endswith("/keys"):
            return 200, {"keys": [one.jwk for one in self.signers]} if self.keys is None else self.keys
        if path.endswith("/introspect"):
            return 200, self._introspected(scope, body)
        return 404, {}

    def _introspected(self, scope: Any, body: bytes) -> Any:
        assert scope["method"] == "POST"
        headers = dict(scope["headers"])
        assert headers[b"content-type"] == b"application/x-www-form-urlencoded"
        self.credentials.append(b64decode(headers[b"authorization"].removeprefix(b"Basic ")).decode())
        self.forms.append(parse_qs(body.decode(), strict_parsing=True))
        return self.opaque.get(self.forms[-1]["token"][0], {"active": False})


def settings(**changed: Any) -> BearerSettings:
    return BearerSettings(**{"issuer": ISSUER, "audience": AUDIENCE, **changed})


def wall() -> float:
    """A clock on the wall that goes with that of the loop."""
    return NOW + asyncio.get_running_loop().time()


def bearer(
    issuer: TokenIssuer | None = None, *, net: SimulatedInternet | None = None, clock: Any = wall, **changed: Any
) -> Bearer:
    """One that asks ``issuer``, or whoever is at ``net``."""
    internet = net or SimulatedInternet({"id.test": issuer or TokenIssuer()})
    return Bearer("mobile", settings(**changed), internet, "bff-mobile/1", clock=clock)


def bearing(borne: str) -> Presented:
    return Presented(authorization=f"Bearer {borne}")


async def judge(proof: Bearer, borne: str) -> Principal | None:
    """Who bears it, as a request finds out."""
    shown = bearing(borne)
    return proof.known(shown.fingerprint) or await proof.principal(shown)
