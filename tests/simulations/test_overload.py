"""A service is asked for twice what it can do: with little room for it, it does what it can."""

import asyncio
from typing import Any

import pytest

from tests.bff_core.scripted import shop
from tests.simulations.crowd import Ledger, crowd
from tests.simulations.one_server import OneServer

CAPACITY = 100  # calls a second, and so half as many within the timeout of an attempt
BEGINS, ENDS, LATER = 10, 40, 60


async def called(**policies: Any) -> Ledger:
    """80 calls a second all the while, and in the midst of it 120 more."""
    client, _ = shop(OneServer(service=1 / CAPACITY), instances=["http://shop.test"], **policies)
    ledger = Ledger()

    async def others() -> None:
        await asyncio.sleep(BEGINS)
        await crowd(120, ENDS - BEGINS, lambda number: ledger.ask(client.book(f"other-{number}"), 2.0), seed=2)

    await asyncio.gather(crowd(80, LATER, lambda number: ledger.ask(client.book(str(number)), 2.0)), others())
    return ledger


def answered(ledger: Ledger, start: int, end: int) -> float:
    """Calls a second, of those that were made in these seconds."""
    return sum(ledger.answered[second] for second in range(start, end)) / (end - start)


@pytest.mark.parametrize("circuit", [True, False])
@pytest.mark.parametrize("adaptive", [True, False])
async def test_with_less_room_than_it_can_do_in_a_timeout_it_does_what_it_can(adaptive: bool, circuit: bool) -> None:
    ledger = await called(bulkhead={"limit": 30, "adaptive": adaptive}, circuit={"enabled": circuit})

    assert answered(ledger, BEGINS, ENDS) >= 0.95 * CAPACITY
    assert ledger.goodput(0, BEGINS) == 1
    assert ledger.goodput(ENDS, LATER) > 0.98  # an adaptive one refuses a few for a while, because it has come down


@pytest.mark.parametrize("adaptive", [True, False])
async def test_with_more_it_does_most_of_its_work_in_vain_and_its_circuit_ends_that(adaptive: bool) -> None:
    ledger = await called(bulkhead={"limit": 100, "adaptive": adaptive})

    assert answered(ledger, BEGINS, ENDS) < 0.5 * CAPACITY
    assert ledger.well_after(ENDS) <= 7
