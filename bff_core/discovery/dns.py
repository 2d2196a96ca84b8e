"""Instances that the DNS knows: the addresses of a name, or its SRV records."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Final

from bff_core.discovery.contract import Member
from bff_core.discovery.families import Families
from bff_core.discovery.name_servers import Addresses, NameServers, Service
from bff_core.discovery_settings import DnsSettings
from bff_core.lookups import DnsLookup
from bff_core.wire import Instance

__all__ = ["Dns"]

_LATEST: Final = 300.0  # seconds: whoever set a TTL of a day may come to regret it
_SMALL: Final = 0.1  # of weights that are whole numbers: "a very small chance" (RFC 2782)
_NOWHERE: Final = "."


class Dns:
    """A ``Source``. ``upstream`` is the name that instances get.

    Asks again when the first of the records that were needed expires, but never sooner than the settings allow, and
    never later than after five minutes. Instances are called by the name whose addresses they are.
    """

    known: Sequence[Member] = ()

    def __init__(
        self,
        upstream: str,
        lookup: DnsLookup,
        settings: DnsSettings,
        servers: Callable[[DnsSettings], NameServers] = NameServers,
    ) -> None:
        self._upstream, self._lookup, self._settings = upstream, lookup, settings
        self._servers = servers
        self._families = Families(upstream)

    async def sets(self) -> AsyncGenerator[Sequence[Member], None]:
        """See ``Source``."""
        servers = self._servers(self._settings)  # anew, because this machine may be set up differently by now
        while True:
            members, ttl = await self._look_up(servers)
            yield members
            await asyncio.sleep(max(min(ttl, _LATEST), self._settings.floor))

    async def close(self) -> None:
        """See ``Source``. There is nothing that outlives a question."""

    async def _look_up(self, servers: NameServers) -> tuple[list[Member], float]:
        if self._lookup.port is None:
            return await self._by_services(servers)
        name = self._lookup.name
        found = (await self._families.of(servers, [name]))[name]
        return [Member(self._instance(name, address, self._lookup.port)) for address in found.found], found.ttl

    async def _by_services(self, servers: NameServers) -> tuple[list[Member], float]:
        services = await servers.services(self._lookup.name)
        first = _first(services.found)
        found = await self._families.of(servers, dict.fromkeys(service.target for service in first), services.along)
        members = [member for service in first for member in self._members(service, found[service.target])]
        return members, min(services.ttl, *(addresses.ttl for addresses in found.values()), _LATEST)

    def _members(self, service: Service, addresses: Addresses) -> Iterable[Member]:
        # a weight is that of a target, however many addresses it has
        share = (service.weight or _SMALL) / max(len(addresses.found), 1)
        for address in addresses.found:
            yield Member(self._instance(service.target, address, service.port), weight=share)

    def _instance(self, name: str, address: str, port: int) -> Instance:
        return Instance(self._upstream, self._lookup.scheme, address, port, name.removesuffix("."))


def _first(services: Iterable[Service]) -> list[Service]:
    """Those of the lowest priority. None at all where the service is said to be nowhere."""
    offered = [service for service in services if service.target != _NOWHERE]
    lowest = min((service.priority for service in offered), default=0)
    return [service for service in offered if service.priority == lowest]
