"""The addresses of names, IPv4 and IPv6, where asking for the one may fail and for the other not."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from bff_core.discovery.contract import SourceFailed
from bff_core.discovery.name_servers import FAMILIES, Addresses, Family, NameServers
from bff_core.lookups import is_host_name

__all__ = ["Families"]

_log = logging.getLogger("bff.discovery")

_SOON: Final = 30.0  # seconds: what has failed is not left alone for as long as what has not holds
_NONE: Final[Mapping[Family, Addresses]] = MappingProxyType({})


class Families:
    """Asks for A and AAAA at once. What fails beside something that answers counts as it answered last.

    So a broken way to AAAA records keeps no service from being found by its A records, and one that works now and then
    makes no instance come and go.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._last: dict[Family, tuple[str, ...]] = {}
        self._failing: set[str] = set()

    async def of(
        self, servers: NameServers, names: Iterable[str], along: Mapping[Family, Addresses] = _NONE
    ) -> dict[str, Addresses]:
        """The addresses of each name; those ``along`` are known already.

        Raises ``SourceFailed`` where no name has any: a name that fails, or has none, beside others that have counts as
        it answered last.
        """
        async with asyncio.TaskGroup() as group:
            asking = {name: group.create_task(self._one(servers, name, along)) for name in names}
        found = {name: task.result() for name, task in asking.items()}
        failures = [str(failure) for failure in found.values() if isinstance(failure, SourceFailed)]
        if failures and len(failures) == len(found):
            raise SourceFailed(_in_short(failures))
        self._forget_all_but(found)
        return {name: self._before(name, one) if isinstance(one, SourceFailed) else one for name, one in found.items()}

    async def _one(
        self, servers: NameServers, name: str, along: Mapping[Family, Addresses]
    ) -> Addresses | SourceFailed:
        if not is_host_name(name):  # and it would be in Host, and what a certificate must be for
            return SourceFailed(f"{name.removesuffix('.')}: no host can be called that")
        came = {family: along[name, family] for family in FAMILIES if (name, family) in along}
        async with asyncio.TaskGroup() as group:
            asking = {
                family: group.create_task(_asked(servers, name, family))
                for family in FAMILIES
                if family not in came and self._is_wanted(name, family, beside=came)
            }
        answers = came | {family: task.result() for family, task in asking.items()}
        known = {family: one for family, one in answers.items() if isinstance(one, Addresses)}
        failures = [str(one) for one in answers.values() if isinstance(one, SourceFailed)]
        if not any(one.found for one in known.values()):
            return SourceFailed("; ".join(failures) or f"{name}: {servers.asked} says that it has no address")
        return self._together(name, known, failures)

    def _is_wanted(self, name: str, family: str, *, beside: Mapping[str, Addresses]) -> bool:
        # where only one came along, the other is not there, or had to be left out of a long answer: it is asked for
        # where it was there before, so that it does not come and go
        return not beside or bool(self._last.get((name, family)))

    def _together(self, name: str, known: Mapping[str, Addresses], failures: list[str]) -> Addresses:
        for family, answer in known.items():
            self._last[name, family] = answer.found
        found = self._last_of(name)
        ttl = min(answer.ttl for answer in known.values() if answer.found)
        if not failures:
            self._failing.discard(name)
            return Addresses(found, ttl)
        self._warn(name, failures[0])
        return Addresses(found, min(ttl, _SOON))

    def _before(self, name: str, failure: SourceFailed) -> Addresses:
        self._warn(name, str(failure))
        return Addresses(self._last_of(name), _SOON)

    def _last_of(self, name: str) -> tuple[str, ...]:
        return tuple(address for family in FAMILIES for address in self._last.get((name, family), ()))

    def _warn(self, name: str, why: str) -> None:
        if name not in self._failing:
            self._failing.add(name)
            _log.warning("%s: a part of what it is looked up by fails, and stays as it was: %s", self._upstream, why)

    def _forget_all_but(self, names: Mapping[str, object]) -> None:
        self._last = {family: found for family, found in self._last.items() if family[0] in names}
        self._failing &= names.keys()


def _in_short(failures: list[str]) -> str:
    others = f"; and {len(failures) - 1} more of its names" if len(failures) > 1 else ""
    return f"{failures[0]}{others}"


async def _asked(servers: NameServers, name: str, family: str) -> Addresses | SourceFailed:
    try:
        return await servers.addresses(name, family)
    except SourceFailed as failure:
        return failure
