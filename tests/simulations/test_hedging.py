"""What hedging is for: an upstream of which one reply in a hundred takes a second, for no reason of its own."""

from math import log
from random import Random

import pytest

from bff_core.upstream import Upstream
from tests.bff_core.scripted import Attempt, ScriptedWire, Step, ask, fine, now, request, shop
from tests.simulations.crowd import crowd

CALLS = 10_000


async def called(rate: float, spread: float = 0.4, **policies: object) -> tuple[list[float], int, Upstream]:
    """How long each call took, shortest first; and the attempts that were made for them."""
    chance = Random(1)

    def reply(_: Attempt) -> Step:
        # 20 ms, more or less
        return fine(chance.uniform(0.9, 1.1) if chance.random() < 0.01 else chance.lognormvariate(log(0.02), spread))

    wire = ScriptedWire(play=reply)
    client, upstream = shop(wire, timeout="2s", **policies)
    took: list[float] = []

    async def call(number: int) -> None:
        start = now()
        await ask(client.book(str(number)), request(3.0))
        took.append(now() - start)

    await crowd(rate, CALLS / rate, call)
    return sorted(took), len(wire.attempts), upstream


def p999(took: list[float]) -> float:
    return took[int(len(took) * 0.999)]


@pytest.mark.parametrize("rate", [20, 300])
async def test_the_slowest_in_a_thousand_take_a_tenth_of_the_time_for_a_twentieth_more_load(rate: float) -> None:
    alone, once, _ = await called(rate)
    raced, sent, upstream = await called(rate, hedge={"enabled": True})

    assert once == len(alone) > 0.95 * CALLS
    assert p999(alone) > 0.9
    assert 10 * p999(raced) < p999(alone)
    assert sent < 1.06 * len(raced)
    assert upstream.tally.retried == upstream.circuit.opened == 0


async def test_however_long_its_answers_take_one_in_twenty_seems_slow_and_not_more_and_more() -> None:
    raced, sent, _ = await called(100, 0.8, hedge={"enabled": True})

    assert p999(raced) < 0.25
    assert 1.03 * len(raced) < sent < 1.06 * len(raced)
