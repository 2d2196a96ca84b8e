"""Clients that come by chance, and how many of them got what they came for."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from math import inf
from random import Random
from typing import Any

from bff_core.composition import Composition
from bff_core.context import RequestContext
from bff_core.errors import GatewayError
from bff_core.upstream import Call

__all__ = ["Ledger", "crowd"]

WELL = 0.95


async def crowd(rate: float, seconds: float, ask: Callable[[int], Coroutine[Any, Any, None]], *, seed: int = 1) -> None:
    """Let so many a second ask, none of which knows of the others, for so long; and wait for all of them."""
    loop, chance = asyncio.get_running_loop(), Random(seed)
    start, passed, number = loop.time(), 0.0, 0
    async with asyncio.TaskGroup() as group:
        while (passed := passed + chance.expovariate(rate)) < seconds:
            await asyncio.sleep(start + passed - loop.time())
            group.create_task(ask(number))
            number += 1


class Ledger:
    """Who has asked, and who was answered, by the second in which they asked. From 0 on, the start of the loop."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()
        self.answered: Counter[int] = Counter()

    async def ask(self, call: Call[Any], deadline: float) -> None:
        """A page that is no more than this call, within so many seconds."""
        start = asyncio.get_running_loop().time()
        self.asked[int(start)] += 1
        try:
            async with Composition(RequestContext("r", start, start + deadline)) as page:
                page.required("book", call)
        except GatewayError:
            return
        self.answered[int(start)] += 1

    def goodput(self, start: float, end: float) -> float:
        """The share of those who asked in these seconds that was answered."""
        seconds = range(int(start), int(end))
        return sum(self.answered[second] for second in seconds) / sum(self.asked[second] for second in seconds)

    def well_after(self, moment: float) -> float:
        """Seconds from ``moment`` until at least 95 % were answered, in each second from then on; or infinity."""
        last = max(self.asked)
        ill = [second for second in range(int(moment), last + 1) if self.goodput(second, second + 1) < WELL]
        if not ill:
            return 0.0
        return inf if ill[-1] == last else ill[-1] + 1 - moment
