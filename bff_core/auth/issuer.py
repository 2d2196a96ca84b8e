"""The issuer of tokens, an upstream like any other: what it publishes, and what it answers about a token.

Its metadata (OpenID Connect Discovery, RFC 8414) says where everything else is, perhaps at another origin. What it says
is believed because of TLS, and because it names itself as we do.
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote_plus, urlsplit

from pydantic import SecretStr

from bff_core.auth.key_ring import KeyRing
from bff_core.bearer_settings import BearerSettings, IntrospectionSettings, origin, trustworthy_url
from bff_core.discovery import Source
from bff_core.errors import BadReply, BadStatus, NotFound
from bff_core.services.client import Answer, ServiceClient
from bff_core.setting_types import Place
from bff_core.tls import TlsSettings
from bff_core.upstream import Call, Endpoint, Template, Upstream
from bff_core.upstream_settings import UpstreamSettings
from bff_core.wire import Instance, Reply, Wire, header

__all__ = ["ELSEWHERE", "ISSUER", "Document", "Issuer", "IssuerClient", "KeySet", "Metadata", "elsewhere"]

T = TypeVar("T")

ISSUER: Final = "bearer.issuer"
ELSEWHERE: Final = "bearer.elsewhere"
"""The names under which it is called: at its own origin, and at those that its metadata leads to."""

_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_OTHER_ORIGINS: Final = 4
_MAX_AGE: Final = re.compile(r"\bmax-age=(\d{1,9})\b", re.IGNORECASE)
_NOT_KEPT: Final = re.compile(r"\bno-(store|cache)\b", re.IGNORECASE)


class Metadata(Answer):
    """What an issuer says of itself, as far as we use it."""

    issuer: str
    jwks_uri: str | None = None
    introspection_endpoint: str | None = None


class KeySet(Answer):
    """Keys as they are published; what is in them is looked at one by one."""

    keys: list[Any]


class Document(NamedTuple, Generic[T]):
    """Something that was published, and for how many seconds it is fresh."""

    content: T
    fresh: float


class IssuerClient(ServiceClient):
    """The issuer, or another origin that it has sent us to."""

    service = ISSUER

    def metadata(self, target: str, issuer: str) -> Call[Document[Metadata]]:
        """What is published there by ``issuer``; of anyone else, it is a bad reply."""
        return Call(self.upstream, _metadata_at(target, issuer), target)

    def keys(self, target: str) -> Call[Document[KeySet]]:
        """The key set that is published there."""
        return Call(self.upstream, _Published(target, KeySet), target)

    def introspection(self, target: str, token: str, credentials: SecretStr) -> Call[dict[str, Any]]:
        """What is said there of a token (RFC 7662)."""
        return self.ask(
            target,
            form={"token": token, "token_type_hint": "access_token"},
            authorization=credentials,
            returns=dict[str, Any],
        )


class _Published(Endpoint[Document[T]]):
    """Read with how long it is fresh."""

    __slots__ = ()

    def __init__(self, target: str, returns: type[T]) -> None:
        super().__init__("GET", Template(target), returns)

    def read(self, instance: Instance, reply: Any) -> Document[T]:
        found: Any = super().read(instance, reply)
        return Document(found, _fresh(reply))


class _MetadataOf(_Published[Metadata]):
    """Of one issuer. That of another is the upstream's failure, and counts as one: its circuit opens."""

    __slots__ = ("_issuer",)

    def __init__(self, target: str, issuer: str) -> None:
        super().__init__(target, Metadata)
        self._issuer = issuer

    def read(self, instance: Instance, reply: Any) -> Document[Metadata]:
        found = super().read(instance, reply)
        if found.content.issuer != self._issuer:
            raise BadReply(instance.upstream, "its metadata is that of another issuer")
        return found


@lru_cache(maxsize=32)
def _metadata_at(target: str, issuer: str) -> _MetadataOf:
    return _MetadataOf(target, issuer)  # the same one each time, or equal calls would not share an answer


class Issuer:
    """Calls it over ``wire``, as ``agent``; ``source`` is where its instances are looked up, by default its settings.

    Everything raises what calls of upstreams raise.
    """

    def __init__(self, settings: BearerSettings, wire: Wire, agent: str, source: Source | None = None) -> None:
        self._settings, self._wire, self._agent = settings, wire, agent
        self.upstream = Upstream(ISSUER, settings.called, wire, agent=agent, source=source)
        self._client = IssuerClient(self.upstream)
        self._others: dict[str, IssuerClient] = {}
        self._targets = _metadata_targets(settings.issuer)
        self._metadata: Metadata | None = None
        self._old_at = 0.0

    async def start(self) -> None:
        """Begin to look for its instances."""
        await self.upstream.start()

    async def close(self) -> None:
        """End that."""
        await self.upstream.close()

    async def keys(self) -> tuple[KeyRing, float]:
        """The keys it publishes now, and for how many seconds they are fresh: an hour, or as it says."""
        metadata = await self._current_metadata()
        client, target = self._at(metadata.jwks_uri)
        found = await client.keys(target)
        return KeyRing.of(found.content.keys), found.fresh

    async def introspection(self, token: str, us: IntrospectionSettings) -> dict[str, Any]:
        """What it says of a token. Where to ask is known for an hour."""
        metadata = self._metadata
        if metadata is None or asyncio.get_running_loop().time() >= self._old_at:
            metadata = await self._current_metadata()
        client, target = self._at(metadata.introspection_endpoint)
        return await client.introspection(target, token, _basic(us))

    async def _current_metadata(self) -> Metadata:
        found = await self._published_metadata()
        self._metadata, self._old_at = found, asyncio.get_running_loop().time() + _HOUR
        return found

    async def _published_metadata(self) -> Metadata:
        first, second = self._targets
        try:
            return (await self._client.metadata(first, self._settings.issuer)).content
        except NotFound:
            pass
        except BadStatus as error:
            if error.upstream_status >= 500:
                raise
        # out here, or what is raised now would remember that
        return (await self._client.metadata(second, self._settings.issuer)).content

    def _at(self, url: str | None) -> tuple[IssuerClient, str]:
        """Who answers at a URL of its metadata, and what to ask for there."""
        if url is None:
            raise BadReply(ISSUER, "its metadata does not say where to ask")
        try:
            trustworthy_url(url)
        except ValueError as error:
            raise BadReply(ISSUER, f"a URL in its metadata {error}") from None
        place, parts = origin(url), urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return (self._client if place == origin(self._settings.issuer) else self._other(place)), target

    def _other(self, place: str) -> IssuerClient:
        client = self._others.get(place)
        if client is None:
            if len(self._others) >= _OTHER_ORIGINS:
                del self._others[next(iter(self._others))]
            settings = elsewhere(self._settings).model_copy(update={"instances": (Place(url=place),)})
            client = IssuerClient(Upstream(ELSEWHERE, settings, self._wire, agent=self._agent))
            self._others[place] = client
        return client


def elsewhere(settings: BearerSettings) -> UpstreamSettings:
    """How another origin is called that the issuer leads to: like itself, except for what says who somebody is. It
    needs a certificate of its own name, and is not shown ours.
    """
    called = settings.called
    tls = None if called.tls is None or called.tls.ca is None else TlsSettings(ca=called.tls.ca)
    return called.model_copy(update={"discover": None, "check": None, "tls": tls})


def _metadata_targets(issuer: str) -> Sequence[str]:
    """Behind the issuer's path (OpenID Connect Discovery, 4), and before it (RFC 8414, 3.1)."""
    path = urlsplit(issuer).path.rstrip("/")
    return f"{path}/.well-known/openid-configuration", f"/.well-known/oauth-authorization-server{path}"


def _basic(us: IntrospectionSettings) -> SecretStr:
    # RFC 6749, 2.3.1: each is form-encoded first, so that neither holds a colon
    pair = f"{quote_plus(us.client_id)}:{quote_plus(us.client_secret.get_secret_value())}"
    return SecretStr(f"Basic {b64encode(pair.encode('ascii')).decode('ascii')}")


def _fresh(reply: Reply) -> float:
    control = header(reply.headers, b"cache-control") or ""
    if _NOT_KEPT.search(control):
        return 0.0
    said = _MAX_AGE.search(control)
    return min(float(said[1]), _DAY) if said else _HOUR
