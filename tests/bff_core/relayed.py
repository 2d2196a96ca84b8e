"""A service that is told who asks, and believes nothing but what it has verified by published keys."""

import asyncio
import json
import time
from functools import cache
from typing import Any, NamedTuple

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from joserfc.jwt import JWTClaimsRegistry

from bff_core.auth.relay import RelayTokens
from bff_core.auth.relay_keys import RelayKeys
from bff_core.principal import Principal
from bff_core.relay_settings import RelaySettings

__all__ = ["ALICE", "BOB", "NOW", "Told", "pem", "relay", "told", "wall"]

NOW = 1_800_000_000.0
"""When the clock of a loop in virtual time says 0."""

ALICE = Principal("https://id.test", "alice", frozenset({"orders:read", "basket"}), "phone", "gold")
BOB = Principal("https://id.test", "bob")


class Told(NamedTuple):
    header: dict[str, Any]
    claims: dict[str, Any]


def pem(number: int = 0) -> str:
    """A private key on P-256, another one for each number."""
    return _pem(number)


@cache
def _pem(_: int) -> str:
    return ECKey.generate_key("P-256").as_pem(private=True).decode()


def told(
    lines: bytes, published: bytes, *, audience: str = "orders", issuer: str = "web", now: float | None = None
) -> Told:
    """What a service learns from these header lines; raises where it refuses them."""
    name, _, value = lines.removesuffix(b"\r\n").partition(b": ")
    scheme, _, token = value.decode("ascii").partition(" ")
    assert (name, scheme) == (b"authorization", "Bearer")
    found = jwt.decode(token, KeySet.import_key_set(json.loads(published)), algorithms=["ES256"])
    if found.header["typ"] != "relay+jwt":
        raise ValueError("this is for something else")
    needed: dict[str, Any] = {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "value": audience},
    }
    needed |= {claim: {"essential": True} for claim in ("sub", "exp", "iat")}
    JWTClaimsRegistry(now=int(time.time() if now is None else now), leeway=0, **needed).validate(found.claims)
    return Told(found.header, found.claims)


def wall() -> float:
    """A clock on the wall that goes with that of the loop."""
    return NOW + asyncio.get_running_loop().time()


def relay(keys: RelayKeys, *, audience: str = "orders", clock: Any = wall, **changed: Any) -> RelayTokens:
    most = {"most": changed.pop("most")} if "most" in changed else {}
    return RelayTokens(RelaySettings(**{"issuer": "web", **changed}), audience, keys, clock=clock, **most)
