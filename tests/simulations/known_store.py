"""The store's seven services, each of which takes as long as chance, or a test, will have it."""

import asyncio
from collections import Counter
from collections.abc import Callable
from math import inf, log
from random import Random
from typing import NoReturn

from bff_core.errors import TimedOut
from bff_core.wire import Instance, Reply, Request
from bff_core.wire.promise import Promise
from tests.store import Store

__all__ = ["HANGING", "KnownStore", "Latency"]

Latency = Callable[[], float]
"""How many seconds the next reply takes."""


def HANGING() -> float:  # noqa: N802  what a service is set to
    return inf


class KnownStore:
    """A ``Wire`` to the store that asks a service once for each thing, and then knows what it says.

    ``latency`` is what it takes by service; all others take about ``usual`` seconds, and the same for the same, however
    much else goes on. ``asked`` counts what was sent, by service and target.
    """

    def __init__(self, store: Store, *, usual: float = 0.02, seed: int = 1) -> None:
        self._internet = store.internet()
        self._known: dict[tuple[str, str], Reply] = {}
        self._usual, self._seed = usual, seed
        self.latency: dict[str, Latency] = {}
        self.asked: Counter[tuple[str, str]] = Counter()
        self.under_way = 0

    async def send(self, instance: Instance, request: Request, *, until: float, max_body: int) -> Reply:
        """See ``Wire.send``."""
        thing = instance.upstream, request.target
        self.asked[thing] += 1
        self.under_way += 1
        try:
            if thing not in self._known:  # which takes no time, because the store is in this process
                self._known[thing] = await self._internet.send(instance, request, until=inf, max_body=max_body)
            latency = self.latency.get(instance.upstream)
            await self._wait(self._drawn(thing) if latency is None else latency(), instance, until)
        finally:
            self.under_way -= 1
        return self._known[thing]

    def _drawn(self, thing: tuple[str, str]) -> float:
        return Random(f"{thing} {self.asked[thing]} {self._seed}").lognormvariate(log(self._usual), 0.4)

    async def _wait(self, seconds: float, instance: Instance, until: float) -> None:
        loop = asyncio.get_running_loop()
        over: Promise[None] = Promise(loop)
        if loop.time() + seconds < until:
            loop.call_later(seconds, over.keep, None)
        else:
            loop.call_at(until, over.break_, TimedOut(instance.upstream, "no whole reply in time"))
        await over

    async def stream(
        self, instance: Instance, request: Request, *, until: float, body_until: float | None = None, max_body: int
    ) -> NoReturn:
        """See ``Wire.stream``; nobody streams here."""
        raise NotImplementedError

    async def close(self) -> None:
        """See ``Wire.close``."""
