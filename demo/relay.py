"""Whom a service believes when it is told on whose behalf it is called: gateways that sign what they say."""

import asyncio
import json
from collections.abc import Callable, Iterable
from time import time
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
from fastapi import Request
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from demo.errors import StoreError, unknown

AUDIENCE = "orders"
TYPES = ("relay+jwt", "application/relay+jwt")  # of a token by which a gateway says who asks, and of nothing else
LEEWAY = 10  # seconds between two clocks
FRESH = 300.0  # seconds for which keys are not asked for again
APART = 1.0  # and those before they are, for a key that nobody knows
PATIENCE = 1.0


class Trust(Protocol):
    """Who may ask for what is private to a customer."""

    async def check(self, customer_id: str, shown: list[str]) -> None:
        """Refuse those who may not, by what they show as `Authorization`."""


class Everyone:
    """Until somebody says whom to trust, everyone is."""

    async def check(self, customer_id: str, shown: list[str]) -> None:
        """Let them in."""


EVERYONE = Everyone()


class Relays:
    """Gateways, each by its issuer and the URL of its keys. A token of theirs lets a customer see their own things.

    Written `ISSUER=URL`, or as a URL alone, whose origin is the issuer then. ValueError is one line about what is
    wrong. `transport` is how they are reached, and `clock` says seconds since 1970.
    """

    def __init__(
        self,
        places: Iterable[str],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self._clock = clock
        self._sources = {issuer: _Source(url, transport) for issuer, url in map(_place, places)}

    async def check(self, customer_id: str, shown: list[str]) -> None:
        """See `Trust`. 401 without a good token, and 404 for who may not know that there is such a customer."""
        scheme, _, token = (shown[0] if len(shown) == 1 else "").partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthenticated("show one token of a gateway, as Bearer")
        if await self._subject(token.strip()) != customer_id:
            raise unknown("customer", customer_id)

    async def _subject(self, token: str) -> str:
        kid, issuer = _unverified(token)
        source, now = self._sources.get(issuer), self._clock()
        if source is None:
            raise _unauthenticated("the token is of nobody who is trusted here")
        try:
            found = jwt.decode(token, await source.keys(kid, now), algorithms=["ES256"])
            _registry(issuer, int(now)).validate(found.claims)
        except (JoseError, ValueError) as error:
            raise _unauthenticated("the token is not good") from error
        if str(found.header.get("typ")).lower() not in TYPES:
            raise _unauthenticated("the token is for something else")
        return str(found.claims["sub"])


class _Source:
    """The keys of one gateway, as fresh as they need to be; the last ones while it is gone."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None) -> None:
        self._url, self._transport = url, transport
        self._keys: KeySet = KeySet([])
        self._since = self._asked_at = float("-inf")
        self._is_gone = True  # until it has answered once
        self._one_at_a_time = asyncio.Lock()

    async def keys(self, kid: str, now: float) -> KeySet:
        """Those published, which should have this one among them. Nobody waits whose key is among them already, but for
        one who finds them old.
        """
        if not self._knows(kid) or (now - self._since > FRESH and not self._one_at_a_time.locked()):
            async with self._one_at_a_time:
                await self._freshen(kid, now)
        return self._keys

    async def _freshen(self, kid: str, now: float) -> None:
        if now - self._since > (FRESH if self._knows(kid) else APART) and now - self._asked_at > APART:
            self._asked_at = now
            await self._fetch(now)
        if self._is_gone and not self._knows(kid):
            raise StoreError(503, "keys_unavailable", "the keys of the gateway cannot be had")

    async def _fetch(self, now: float) -> None:
        try:
            async with httpx.AsyncClient(transport=self._transport, trust_env=False, timeout=PATIENCE) as http:
                reply = (await http.get(self._url)).raise_for_status()
            self._keys, self._since, self._is_gone = KeySet.import_key_set(reply.json()), now, False
        except (httpx.HTTPError, OSError, JoseError, ValueError, KeyError, TypeError):
            self._is_gone = True

    def _knows(self, kid: str) -> bool:
        return any(key.kid == kid for key in self._keys.keys)


async def only_own(customer_id: str, request: Request) -> None:
    """A dependency of what is private to the customer in the path."""
    trust: Trust = request.app.state.trust
    await trust.check(customer_id, request.headers.getlist("authorization"))


def _unverified(token: str) -> tuple[str, str]:
    """Which key it says it is signed with, and by whom: to find that key, and for nothing else."""
    try:
        found = jws.extract_compact(token.encode())
        claims: Any = json.loads(found.payload)
        return str(found.headers()["kid"]), str(claims["iss"])
    except (JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unauthenticated("the token is none of a gateway") from error


def _registry(issuer: str, now: int) -> JWTClaimsRegistry:
    return JWTClaimsRegistry(
        now=now,
        leeway=LEEWAY,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
        sub={"essential": True},
    )


def _place(text: str) -> tuple[str, str]:
    issuer, _, url = ("", "", text) if text.startswith(("http://", "https://")) else text.partition("=")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f"{text!r} is no place for keys; write it like web=http://127.0.0.1:9000/jwks")
    return issuer or f"{parts.scheme}://{parts.netloc}", url


def _unauthenticated(detail: str) -> StoreError:
    return StoreError(401, "unauthenticated", detail, headers={"www-authenticate": "Bearer"})
