"""The issuer of tokens, an upstream like any other: what it says of itself, and who answers where.

Its metadata (OpenID Connect Discovery, RFC 8414) says where everything else is, perhaps at another origin. What it says
is believed because of TLS, and because it names itself as we do.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from bff_core.auth.issuer_client import IssuerClient, Metadata
from bff_core.auth.key_ring import KeyRing
from bff_core.auth.together import Together
from bff_core.bearer_settings import origin, trustworthy_url
from bff_core.discovery import Source
from bff_core.errors import BadReply, BadStatus, GatewayError, NotFound
from bff_core.setting_types import Place
from bff_core.tls import TlsSettings
from bff_core.upstream import Upstream
from bff_core.upstream_settings import UpstreamSettings
from bff_core.wire import Wire

__all__ = ["BEARER", "SESSION", "Issuer", "IssuerNames", "IssuerSettings", "elsewhere"]

_HOUR: Final = 3600.0
_MINUTE: Final = 60.0
_OTHER_ORIGINS: Final = 4
_METADATA: Final = "metadata"


class IssuerNames(NamedTuple):
    """What the upstreams are called that an issuer is."""

    issuer: str
    """At its own origin,"""

    elsewhere: str
    """and at those that its metadata leads to."""


BEARER: Final = IssuerNames("bearer.issuer", "bearer.elsewhere")
SESSION: Final = IssuerNames("session.issuer", "session.elsewhere")


class IssuerSettings(Protocol):
    """What everyone says of an issuer who has one."""

    @property
    def issuer(self) -> str:
        """Its URL, exactly as its metadata names it."""
        ...

    @property
    def called(self) -> UpstreamSettings:
        """How it is called."""
        ...


class Issuer:
    """Calls it over ``wire``, as ``agent``; ``source`` is where its instances are looked up, by default its settings.

    Everything raises what calls of upstreams raise; and ``IdentityUnavailable`` where the metadata is not there by the
    deadline of the current request.
    """

    def __init__(
        self,
        settings: IssuerSettings,
        wire: Wire,
        agent: str,
        source: Source | None = None,
        *,
        names: IssuerNames = BEARER,
    ) -> None:
        self._settings, self._wire, self._agent, self._names = settings, wire, agent, names
        self._upstream = Upstream(names.issuer, settings.called, wire, agent=agent, source=source)
        self._client = IssuerClient(self._upstream)
        self._others: dict[str, IssuerClient] = {}
        self._targets = _metadata_targets(settings.issuer)
        self._together = Together()
        self._metadata: Metadata | None = None
        self._read_at = self._old_at = 0.0

    async def start(self) -> None:
        """Begin to look for its instances."""
        await self._upstream.start()

    async def close(self) -> None:
        """End that, and what is under way."""
        await self._together.close()
        await self._upstream.close()

    async def metadata(self) -> Metadata:
        """What it says of itself. That is asked once for all who need it, and, when it is an hour old, again, which
        nobody waits for. While it does not answer, the last that it said stays.
        """
        if self._metadata is None:
            return await self._read_anew()
        if asyncio.get_running_loop().time() >= self._old_at:
            self._together.begin(_METADATA, self._renew)
        return self._metadata

    async def keys(self) -> tuple[KeyRing, float]:
        """The keys it publishes now, and for how many seconds they are fresh: an hour, or as it says."""
        now = asyncio.get_running_loop().time()
        # nearly always anew, because it must not take an hour to learn where they were moved to
        known = self._metadata if now < self._read_at + _MINUTE else None
        metadata = known or await self._read_anew()
        client, target = self.at(metadata.jwks_uri)
        found = await client.keys(target)
        return KeyRing.of(found.content.keys), found.fresh

    def at(self, url: str | None) -> tuple[IssuerClient, str]:
        """Who answers at a URL of its metadata, and what to ask for there."""
        place, parts = origin(self.checked(url)), urlsplit(url or "")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return (self._client if place == origin(self._settings.issuer) else self._other(place)), target

    def checked(self, url: str | None) -> str:
        """A URL of its metadata, at which nobody else can answer. Raises ``BadReply`` where it is none."""
        if url is None:
            raise BadReply(self._names.issuer, "its metadata does not say where to ask")
        try:
            return trustworthy_url(url)
        except ValueError as error:
            wrong = str(error)
        raise BadReply(self._names.issuer, f"a URL in its metadata {wrong}")

    def facts(self) -> dict[str, Any]:
        """How it is called, and how that goes, there and elsewhere: for operators."""
        others = {place: client.upstream.facts() for place, client in self._others.items()}
        return {"upstream": self._upstream.facts(), "elsewhere": others}

    async def _read_anew(self) -> Metadata:
        return await self._together.result(_METADATA, self._renew)

    async def _renew(self) -> Metadata:
        loop = asyncio.get_running_loop()
        try:
            found = await self._published()
        except GatewayError:
            self._old_at = loop.time() + _MINUTE
            raise
        self._metadata, self._read_at = found, loop.time()
        self._old_at = self._read_at + _HOUR
        return found

    async def _published(self) -> Metadata:
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

    def _other(self, place: str) -> IssuerClient:
        client = self._others.get(place)
        if client is None:
            if len(self._others) >= _OTHER_ORIGINS:
                del self._others[next(iter(self._others))]
            settings = elsewhere(self._settings).model_copy(update={"instances": (Place(url=place),)})
            client = IssuerClient(Upstream(self._names.elsewhere, settings, self._wire, agent=self._agent))
            self._others[place] = client
        return client


def elsewhere(settings: IssuerSettings) -> UpstreamSettings:
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
