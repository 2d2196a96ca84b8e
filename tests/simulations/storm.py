"""A service with a fifth of its capacity to spare goes dark and comes back, and is called all the while."""

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Literal

from bff_core.testing import run
from tests.bff_core.scripted import shop
from tests.simulations.crowd import Ledger, crowd
from tests.simulations.one_server import Darkness, OneServer

__all__ = ["BEFORE", "BUDGET_ALONE", "CAPACITY", "EVERYTHING", "OFFERED", "WITHOUT_BUDGET", "Storm", "storm"]

CAPACITY: Final = 100  # calls a second
OFFERED: Final = 80
DEADLINE: Final = 2.0  # seconds, of each page
BEFORE: Final = 15  # seconds until it goes dark

_BARE: Final = {"circuit": {"enabled": False}, "bulkhead": {"limit": 10**6}}
WITHOUT_BUDGET: Final = {**_BARE, "retry": {"budget": 1.0, "budget_floor": 10**6}}
BUDGET_ALONE: Final = _BARE
EVERYTHING: Final = {"hedge": {"enabled": True}, "bulkhead": {"adaptive": True}}
"""Beside what is on as it comes."""


@dataclass(frozen=True)
class Storm:
    """What became of it: of the calls, by the second in which they were made, and of the service. ``back`` is when it
    came back.
    """

    calls: Ledger
    attempts: Counter[int]
    back: int
    end: int


def storm(
    policies: dict[str, Any], dark: int, how: Literal["refuses", "hangs"] = "hangs", *, after: int = 20, seed: int = 1
) -> Storm:
    """``dark`` seconds of darkness, and ``after`` seconds of what comes after it. Each call is that of one page."""
    random.seed(seed)  # from which pauses and rests are drawn
    return run(_storm(policies, Darkness(how, BEFORE, BEFORE + dark), after, seed))


async def _storm(policies: dict[str, Any], darkness: Darkness, after: int, seed: int) -> Storm:
    server = OneServer(darkness, service=1 / CAPACITY)
    client, _ = shop(server, instances=["http://shop.test"], **policies)
    calls, end = Ledger(), int(darkness.end) + after
    await crowd(OFFERED, end, lambda number: calls.ask(client.book(str(number)), DEADLINE), seed=seed)
    return Storm(calls, Counter(int(moment) for moment in server.attempts), int(darkness.end), end)
