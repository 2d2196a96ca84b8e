"""Asking instances whether they are well, beside the calls they get."""

import asyncio
import logging
import random
from typing import Final

from bff_core.errors import Busy, GatewayError
from bff_core.upstream.balance import Balancer
from bff_core.upstream_settings import CheckSettings
from bff_core.wire import Instance, Request, Wire
from bff_core.wire.header_lines import HeaderLines

__all__ = ["Checks"]

_log = logging.getLogger("bff.upstream")

_MOST: Final = 64 * 1024  # bytes of a reply that nobody reads
_AT_ONCE: Final = 32
_SPREAD: Final = 0.1  # of the interval, either way, so that gateways do not ask in the same moments


class Checks:
    """Tells the balancer when an instance has failed as many checks in a row as make it unhealthy, or passed as many as
    make it healthy again. What is new is taken for healthy.
    """

    def __init__(self, settings: CheckSettings, balancer: Balancer, wire: Wire, agent: str) -> None:
        self._settings, self._balancer, self._wire = settings, balancer, wire
        self._headers = HeaderLines.of((b"user-agent", agent.encode("ascii")))
        self._streaks: dict[Instance, int] = {}
        """Checks in a row that passed, or, below nothing, that failed."""

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await self._round()
            interval = self._settings.interval
            await asyncio.sleep(interval * random.uniform(1 - _SPREAD, 1 + _SPREAD))  # noqa: S311  no secret

    async def _round(self) -> None:
        instances = self._balancer.instances
        self._streaks = {instance: self._streaks.get(instance, 0) for instance in instances}
        room = asyncio.Semaphore(_AT_ONCE)
        checks = (self._check(instance, room) for instance in instances)
        for instance, end in zip(instances, await asyncio.gather(*checks, return_exceptions=True), strict=True):
            if isinstance(end, Exception):  # and the others are still to be checked, or who is unhealthy stays so
                _log.error("%s: %s: a bug in its check", instance.upstream, instance, exc_info=end)

    async def _check(self, instance: Instance, room: asyncio.Semaphore) -> None:
        async with room:
            if not self._balancer.knows(instance):  # since it waited here; the wire has let go of it
                return
            passed = await self._passes(instance)
        if passed is None:
            return
        streak = self._streaks[instance]
        self._streaks[instance] = streak = max(streak, 0) + 1 if passed else min(streak, 0) - 1
        now = asyncio.get_running_loop().time()
        if streak >= self._settings.healthy:
            self._balancer.checked(instance, now, healthy=True)
        elif -streak >= self._settings.unhealthy:
            self._balancer.checked(instance, now, healthy=False)

    async def _passes(self, instance: Instance) -> bool | None:
        """``None`` says nothing about it."""
        until = asyncio.get_running_loop().time() + self._settings.timeout
        request = Request("GET", self._settings.path, self._headers)
        try:
            reply = await self._wire.send(instance, request, until=until, max_body=_MOST)
        except Busy:
            return None
        except GatewayError:
            return False
        return 200 <= reply.status < 300
