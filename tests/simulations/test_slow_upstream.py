"""An upstream becomes slower than its callers can wait, and well again: it must be found out, whoever asks."""

import asyncio
from typing import Any

import pytest

from tests.bff_core.scripted import Attempt, ScriptedWire, Shop, Step, fine, shop
from tests.simulations.crowd import Ledger, crowd

SLOW, WELL_AGAIN, END = 15, 35, 60
SOON = 12  # seconds
HURRIED, PATIENT = 0.4, 3.0  # seconds, the deadlines of two kinds of pages


def reply(attempt: Attempt) -> Step:
    return fine(0.45 if SLOW <= attempt.at < WELL_AGAIN else 0.02)


async def called(client: Shop, rate: float, until: float, deadline: float, *, seed: int) -> Ledger:
    ledger = Ledger()
    await crowd(rate, until, lambda number: ledger.ask(client.book(f"{seed}-{number}"), deadline), seed=seed)
    return ledger


POLICIES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "without a circuit": {"circuit": {"enabled": False}},
    "everything on": {"hedge": {"enabled": True}, "bulkhead": {"adaptive": True}},
}
OTHERS = {
    "nobody else": 0,
    "others while it is well": SLOW,
    "others until it is well again": WELL_AGAIN,
    "others all the while": END,
}


@pytest.mark.parametrize("policies", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
async def test_what_was_slower_than_the_deadline_and_is_well_again_is_used_within_twelve_seconds(
    policies: dict[str, Any], others: int
) -> None:
    client, _ = shop(ScriptedWire(play=reply), **policies)
    hurried, patient = await asyncio.gather(
        called(client, 20, END, HURRIED, seed=1),
        called(client, 20, others, PATIENT, seed=2),  # whose answers tell how slow it is
    )

    assert hurried.goodput(0, SLOW) == 1
    assert hurried.goodput(SLOW + 1, WELL_AGAIN) == 0
    assert hurried.well_after(WELL_AGAIN) <= SOON
    if others > SLOW:
        assert patient.goodput(0, others) == 1
