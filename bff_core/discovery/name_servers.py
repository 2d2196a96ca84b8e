"""Questions to name servers: answered, or a ``SourceFailed`` that says what was asked of whom, and what came."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import dns.name
from dns.asyncresolver import Resolver
from dns.exception import DNSException, Timeout
from dns.nameserver import Do53Nameserver
from dns.resolver import NXDOMAIN, Answer, NoResolverConfiguration
from dns.rrset import RRset

from bff_core.discovery.contract import SourceFailed
from bff_core.discovery.dns_sockets import Sockets
from bff_core.discovery_settings import DnsSettings

__all__ = ["FAMILIES", "Addresses", "Family", "NameServers", "Service", "Services"]

FAMILIES: Final = ("A", "AAAA")

_AT_ONCE: Final = 16  # questions: each has a socket
_PORT: Final = 53
_PAYLOAD: Final = 1232  # bytes: what reaches everyone in one piece (DNS flag day 2020); more comes over TCP

Family = tuple[str, str]
"""A name and one of ``FAMILIES``."""


class Addresses(NamedTuple):
    """What a name has, and for how many seconds that holds."""

    found: tuple[str, ...]
    ttl: float


class Service(NamedTuple):
    """One SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str
    """With its last dot."""


class Services(NamedTuple):
    """The SRV records of a name, for how many seconds they hold, and the addresses that came along with them."""

    found: tuple[Service, ...]
    ttl: float
    along: Mapping[Family, Addresses]


class NameServers:
    """Those of the settings, else those that this machine is set up with, which is read once.

    A name with a dot in it is asked for as it is, one without a dot as the search list of this machine has it. Nothing
    is remembered. Every question goes to each of them until one answers, over UDP, and over TCP where an answer is too
    long.
    """

    def __init__(self, settings: DnsSettings, machine: str = "/etc/resolv.conf") -> None:
        self._timeout = settings.timeout
        self._resolver = _resolver(settings, machine)
        self._sockets = Sockets()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self.asked = " or ".join(_shown(str(server)) for server in self._resolver.nameservers)
        """Who is asked, in words."""

    async def addresses(self, name: str, family: str) -> Addresses:
        """None are found where there are decidedly none of this family. Raises ``SourceFailed``."""
        answer = await self._ask(name, family)
        return Addresses(_texts(answer.rrset), _ttl(answer))

    async def services(self, name: str) -> Services:
        """Raises ``SourceFailed``, also where there are none."""
        answer = await self._ask(name, "SRV")
        if answer.rrset is None:
            raise SourceFailed(f"SRV of {name}: {self.asked} says that there is none")
        found = tuple(
            Service(one.priority, one.weight, one.port, _text(one.target))
            for one in sorted(answer.rrset)  # the order of an answer means nothing, and changes
        )
        return Services(found, _ttl(answer), _along(answer.response.additional))

    async def _ask(self, name: str, kind: str) -> Answer:
        asked = dns.name.from_text(name, dns.name.root if "." in name else None)
        async with self._room:
            try:
                return await self._resolver.resolve(
                    asked, kind, raise_on_no_answer=False, lifetime=self._timeout, search=True, backend=self._sockets
                )
            except NXDOMAIN as error:
                names = ", ".join(one.to_text(omit_final_dot=True) for one in error.kwargs["qnames"])
                raise SourceFailed(f"{kind} of {names}: {self.asked} says NXDOMAIN, there is no such name") from error
            except DNSException as error:
                raise SourceFailed(f"{kind} of {name.removesuffix('.')}: {_came(error)}") from error


def _resolver(settings: DnsSettings, machine: str) -> Resolver:
    try:
        resolver = Resolver(configure=False)
        _read(resolver, machine, needed=settings.servers is None)
        own = [(str(address), _PORT) for address in resolver.nameservers]
        places = own if settings.servers is None else map(_place, settings.servers)
        resolver.nameservers = [Do53Nameserver(*place) for place in places]
    except (DNSException, ValueError) as error:
        raise SourceFailed(f"{machine}: {error}") from error
    # of the whole, so that each is asked at least once, and one of them again: a datagram may be lost
    resolver.timeout = settings.timeout / (len(resolver.nameservers) + 1)
    resolver.use_edns(0, payload=_PAYLOAD)
    return resolver


def _read(resolver: Resolver, machine: str, *, needed: bool) -> None:
    # for its search list where its name servers are not the ones to ask
    try:
        resolver.read_resolv_conf(machine)
    except NoResolverConfiguration:
        if needed:
            raise


def _place(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":")
    return host.strip("[]"), int(port)


def _shown(server: str) -> str:
    host, _, port = server.removeprefix("Do53:").rpartition("@")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _came(error: DNSException) -> str:
    each = [
        f"{_shown(server)} says {'nothing in time' if isinstance(what, Timeout) else what}"
        for server, _, _, what, _ in error.kwargs.get("errors", ())
    ]
    return "; ".join(dict.fromkeys(each)) or str(error)


def _along(additional: Iterable[RRset]) -> dict[Family, Addresses]:
    kinds = ((records, records.rdtype.name) for records in additional)
    return {
        (_text(records.name), kind): Addresses(_texts(records), records.ttl)
        for records, kind in kinds
        if kind in FAMILIES
    }


def _text(name: dns.name.Name) -> str:
    return name.to_text().lower()


def _texts(records: Iterable[Any] | None) -> tuple[str, ...]:
    return tuple(sorted(record.address for record in records or ()))


def _ttl(answer: Answer) -> float:
    return answer.chaining_result.minimum_ttl  # of its CNAMEs too
