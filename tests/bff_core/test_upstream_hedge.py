"""A second attempt beside one that takes long: when, where, who pays, and what becomes of the other."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from bff_core.context import enter
from bff_core.errors import BadStatus, GatewayError, NotFound
from bff_core.upstream import Upstream
from bff_core.upstream.circuit import State
from bff_core.upstream_settings import BulkheadSettings, CircuitSettings, HedgeSettings, RetrySettings
from tests.bff_core.scripted import (
    HANGING,
    Book,
    ScriptedWire,
    Shop,
    Step,
    ask,
    failing,
    fine,
    now,
    request,
    shop,
    turns,
    well_known,
)

ONCE = RetrySettings(attempts=0)


def hedging(wire: ScriptedWire, *, usual: float = 0.1, **settings: Any) -> tuple[Shop, Upstream]:
    """A shop whose calls are hedged, because it is well known to take so long."""
    client, upstream = shop(wire, **{"hedge": HedgeSettings(enabled=True), "retry": ONCE, **settings})
    well_known(upstream, usual)
    return client, upstream


def p95(upstream: Upstream) -> float:
    found = upstream.latency.p95(now())
    assert found is not None
    return found


async def settled(upstream: Upstream) -> None:
    """Nothing is left of it, then and later."""
    assert upstream.bulkhead.in_flight == 0
    attempts = upstream.tally.counts()
    await asyncio.sleep(10)
    assert (upstream.bulkhead.in_flight, upstream.tally.counts()) == (0, attempts)


# when


async def test_what_is_answered_as_usual_is_asked_for_once() -> None:
    wire = ScriptedWire(fine(0.09))
    client, upstream = hedging(wire)
    await client.book()
    await settled(upstream)
    assert (len(wire.attempts), upstream.tally.hedged, upstream.budget.spent) == (1, 0, 0)


async def test_what_takes_longer_than_usual_is_asked_for_on_another_instance_too_and_the_first_answer_counts() -> None:
    wire = ScriptedWire(HANGING, fine(0.02))
    client, upstream = hedging(wire)
    after = p95(upstream)
    assert await client.book() == Book(id="pojos")
    assert now() == pytest.approx(after + 0.02)
    first, second = wire.attempts
    assert first.instance != second.instance
    assert (second.at, first.given_up, second.given_up) == (pytest.approx(after), True, False)
    assert (upstream.tally.hedged, upstream.tally.retried, upstream.budget.spent) == (1, 0, 1)
    await settled(upstream)


async def test_that_the_first_took_longer_is_not_forgotten_when_the_second_wins() -> None:
    wire = ScriptedWire(*[HANGING, fine(0.02)] * 2)
    client, upstream = hedging(wire)  # and so 20 answers of a tenth of a second are known
    usual = p95(upstream)
    for _ in range(2):
        await client.book()
    await asyncio.sleep(0.25)
    assert p95(upstream) == pytest.approx(usual + 0.02, rel=0.1)  # the 23rd of 24, of which four are new


async def test_where_the_first_has_failed_when_the_second_wins_nothing_was_slow() -> None:
    wire = ScriptedWire(*[failing(0.2), fine(0.2)] * 2)
    client, upstream = hedging(wire)
    usual = p95(upstream)
    for _ in range(2):
        await client.book()
    well_known(upstream, 0.1)
    await asyncio.sleep(0.25)
    assert p95(upstream) == usual  # the 40th of 42


async def test_where_the_first_one_answers_after_all_the_second_is_given_up() -> None:
    wire = ScriptedWire(fine(0.15), HANGING)
    client, upstream = hedging(wire)
    await client.book()
    assert now() == pytest.approx(0.15)
    assert [attempt.given_up for attempt in wire.attempts] == [False, True]
    assert upstream.tally.counts() == {"success": 1, "ours": 1}
    await settled(upstream)


async def test_however_quick_it_usually_is_it_is_given_ten_milliseconds() -> None:
    wire = ScriptedWire(HANGING, fine())
    client, _ = hedging(wire, usual=0.0005)
    await client.book()
    assert wire.times == [0.0, pytest.approx(0.01)]


async def test_how_long_it_is_given_at_least_can_be_set() -> None:
    wire = ScriptedWire(HANGING, fine())
    client, _ = hedging(wire, usual=0.0005, hedge={"enabled": True, "soonest": "50ms"})
    await client.book()
    assert wire.times == [0.0, pytest.approx(0.05)]


async def test_as_long_as_little_is_known_nothing_is_asked_for_twice() -> None:
    wire = ScriptedWire(fine(0.4))
    client, upstream = shop(wire, hedge=HedgeSettings(enabled=True))
    well_known(upstream, 0.01, answers=19)
    await client.book()
    assert len(wire.attempts) == 1


@pytest.mark.parametrize("hedged", [False, True])
async def test_it_can_be_asked_for_by_a_service_client_alone(hedged: bool) -> None:
    wire = ScriptedWire(fine(0.4))
    client, _ = hedging(wire, hedge=HedgeSettings())
    await client.book(hedged=hedged)
    assert len(wire.attempts) == 1 + hedged


# when not


@pytest.mark.parametrize("key", [None, "key-1"])
async def test_what_changes_something_is_sent_once_at_a_time(key: str | None) -> None:
    wire = ScriptedWire(fine(0.4))
    client, _ = hedging(wire)
    await client.buy(key)
    assert len(wire.attempts) == 1


async def test_without_a_budget_it_is_waited_for() -> None:
    wire = ScriptedWire(fine(0.4))
    client, upstream = hedging(wire, retry=RetrySettings(attempts=0, budget=0.0, budget_floor=0))
    assert await client.book() == Book(id="pojos")
    assert (len(wire.attempts), upstream.tally.hedged, upstream.budget.refused) == (1, 0, 1)


async def test_retries_and_hedges_are_paid_from_one_budget() -> None:
    wire = ScriptedWire(HANGING, failing(), fine())
    client, upstream = hedging(wire, retry=RetrySettings(attempts=2, budget=0.0, budget_floor=1))
    with pytest.raises(GatewayError):
        await client.book()
    assert (len(wire.attempts), upstream.budget.spent) == (2, 1)


async def test_a_second_attempt_is_no_call_that_pays_in() -> None:
    wire = ScriptedWire(fine(0.4))
    client, upstream = hedging(wire, bulkhead=BulkheadSettings(limit=10_000))
    await asyncio.gather(*[asyncio.create_task(ask(client.book(f"b{number}"))) for number in range(1000)])
    assert (upstream.tally.hedged, len(wire.attempts), upstream.budget.left(now())) == (20, 1020, 80)


async def test_where_all_are_slow_at_once_few_are_hedged_and_no_more_before_the_second_is_over() -> None:
    wire = ScriptedWire(fine(0.45))
    client, upstream = hedging(wire)
    for hedged in (5, 10):
        await asyncio.gather(*[asyncio.create_task(ask(client.book(f"b{number}"))) for number in range(40)])
        assert upstream.tally.hedged == hedged
        await asyncio.sleep(0.7)
        well_known(upstream, 0.1, answers=1000)
    assert upstream.budget.refused == 2 * 35


async def test_a_probe_is_not_hedged() -> None:
    wire = ScriptedWire(failing(), fine(0.4))
    client, upstream = hedging(wire, circuit=CircuitSettings(attempts=1))
    with pytest.raises(BadStatus):
        await client.book()
    await asyncio.sleep(6.1)
    assert p95(upstream) < 0.2
    await client.book()
    assert (upstream.circuit.state, len(wire.attempts), upstream.tally.hedged) == (State.HALF_OPEN, 2, 0)


async def test_where_the_circuit_has_opened_meanwhile_it_is_not_asked_again() -> None:
    wire = ScriptedWire(fine(0.4), failing())
    client, upstream = hedging(wire, circuit=CircuitSettings(attempts=1))
    slow = asyncio.create_task(ask(client.book("slow")))
    await asyncio.sleep(0.05)
    with pytest.raises(BadStatus):
        await client.book()
    assert await slow == Book(id="pojos")
    assert (len(wire.attempts), upstream.tally.hedged) == (2, 0)


@pytest.mark.parametrize(("others", "hedged"), [(1, True), (2, False), (3, False)])
async def test_where_more_than_half_of_the_bulkhead_is_taken_there_is_better_use_for_the_rest(
    others: int, hedged: bool
) -> None:
    wire = ScriptedWire(play=lambda attempt: HANGING if attempt.request.target.startswith("/orders") else fine(0.4))
    client, upstream = hedging(wire, bulkhead=BulkheadSettings(limit=4))
    tasks = [asyncio.create_task(ask(client.buy())) for _ in range(others)]
    await turns()
    await client.book()
    assert upstream.tally.hedged == hedged
    await asyncio.gather(*tasks, return_exceptions=True)
    await settled(upstream)


# failures


async def test_what_fails_before_a_second_one_was_sent_has_failed() -> None:
    wire = ScriptedWire(failing(0.05))
    client, upstream = hedging(wire)
    with pytest.raises(BadStatus):
        await client.book()
    assert now() == pytest.approx(0.05)
    await settled(upstream)
    assert (len(wire.attempts), upstream.tally.hedged) == (1, 0)


async def test_what_fails_before_a_second_one_was_sent_is_tried_again_like_any_other() -> None:
    wire = ScriptedWire(failing(0.05), fine(0.01))
    client, upstream = hedging(wire, retry=RetrySettings(attempts=2))
    assert await client.book() == Book(id="pojos")
    await settled(upstream)
    assert (len(wire.attempts), upstream.tally.retried) == (2, 1)


@pytest.mark.parametrize(("first", "second"), [(0.2, 0.2), (0.4, 0.02)], ids=["sooner", "later"])
async def test_one_that_fails_waits_for_the_other(first: float, second: float) -> None:
    for script in ((failing(first), fine(second)), (fine(first), failing(second))):
        wire = ScriptedWire(*script)
        client, upstream = hedging(wire)
        assert await client.book() == Book(id="pojos")
        await settled(upstream)
        assert upstream.tally.counts()["success"] == 1


@pytest.mark.parametrize(
    "script",
    [(failing(0.2, status=404), HANGING), (HANGING, failing(0.05, status=404))],
    ids=["of the first", "of the second"],
)
async def test_that_there_is_nothing_by_that_name_is_an_answer_and_waits_for_nothing(script: Sequence[Step]) -> None:
    wire = ScriptedWire(*script)
    client, upstream = hedging(wire)
    with pytest.raises(NotFound):
        await client.book()
    assert now() == pytest.approx(0.2 if script[1] is HANGING else wire.times[1] + 0.05)
    await settled(upstream)
    assert upstream.tally.counts()["success"] == 1


@pytest.mark.parametrize("second", [0.02, 0.3], ids=["the second sooner", "the first sooner"])
async def test_where_both_fail_it_is_the_first_whose_failure_is_told(second: float) -> None:
    wire = ScriptedWire(failing(0.2, status=504), failing(second, status=503))
    client, upstream = hedging(wire)
    with pytest.raises(BadStatus) as failed:
        await client.book()
    assert failed.value.upstream_status == 504
    assert now() == pytest.approx(max(0.2, wire.times[1] + second))
    await settled(upstream)


async def test_a_second_one_for_which_no_time_is_left_costs_the_first_nothing() -> None:
    wire = ScriptedWire(failing(0.14))
    client, upstream = hedging(wire)  # which takes a tenth of a second, and half of that is left
    enter(request(0.15))
    with pytest.raises(BadStatus):
        await client.book()
    await settled(upstream)
    assert (len(wire.attempts), upstream.budget.spent, upstream.tally.hedged) == (1, 0, 0)
    assert not upstream.tally.refused


async def test_a_second_one_that_fails_is_not_tried_again() -> None:
    wire = ScriptedWire(fine(0.4), failing())
    client, upstream = hedging(wire, retry=RetrySettings(attempts=2))
    assert await client.book() == Book(id="pojos")
    await settled(upstream)
    assert (len(wire.attempts), upstream.tally.retried, upstream.budget.spent) == (2, 0, 1)


# leaving


async def test_with_the_last_who_waits_both_end() -> None:
    wire = ScriptedWire(HANGING)
    client, upstream = hedging(wire)
    task = asyncio.create_task(ask(client.book()))
    await asyncio.sleep(0.2)
    assert upstream.bulkhead.in_flight == 2
    task.cancel()
    await turns()
    assert [attempt.given_up for attempt in wire.attempts] == [True, True]
    await settled(upstream)
    assert len(wire.attempts) == 2


async def test_with_the_last_who_waits_the_second_is_never_sent() -> None:
    wire = ScriptedWire(HANGING)
    client, upstream = hedging(wire)
    task = asyncio.create_task(ask(client.book()))
    await asyncio.sleep(0.05)
    task.cancel()
    await turns()
    await settled(upstream)
    assert len(wire.attempts) == 1


async def test_equal_calls_share_both() -> None:
    wire = ScriptedWire(HANGING, fine(0.02))
    client, upstream = hedging(wire)
    tasks = [asyncio.create_task(ask(client.book())) for _ in range(3)]
    await asyncio.sleep(0.05)
    tasks[0].cancel()
    assert await asyncio.gather(*tasks[1:]) == [Book(id="pojos")] * 2
    assert len(wire.attempts) == 2
    await settled(upstream)


async def test_of_two_downloads_one_is_handed_on_and_the_other_given_up() -> None:
    wire = ScriptedWire(HANGING, fine(0.02))
    client, upstream = hedging(wire)
    stream = await client.picture()
    assert [kept is stream and not kept.closed for kept in wire.streams] == [True]
    assert [attempt.given_up for attempt in wire.attempts] == [True, False]
    await settled(upstream)


async def test_an_unsafe_call_that_nobody_waits_for_any_more_is_not_hedged() -> None:
    wire = ScriptedWire(fine(0.4))
    client, upstream = hedging(wire)
    task = asyncio.create_task(ask(client.shelve()))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.sleep(1)
    assert [attempt.given_up for attempt in wire.attempts] == [False]
    assert upstream.tally.hedged == 0


async def test_the_second_attempt_at_an_unsafe_call_goes_on_too_when_its_client_leaves_after_the_first_has_failed() -> (
    None
):
    wire = ScriptedWire(failing(0.3, status=500), fine(0.4))
    client, _ = hedging(wire)
    task = asyncio.create_task(ask(client.shelve()))
    await asyncio.sleep(0.35)
    assert len(wire.attempts) == 2
    task.cancel()
    await asyncio.sleep(1)
    assert [attempt.given_up for attempt in wire.attempts] == [False, False]


async def test_an_unsafe_call_that_nobody_waits_for_any_more_is_not_tried_again_while_the_second_attempt_goes_on() -> (
    None
):
    wire = ScriptedWire(failing(0.15, retry_after=1), HANGING)
    client, upstream = hedging(wire, retry=RetrySettings(), timeout="3s")
    task = asyncio.create_task(ask(client.shelve()))
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.sleep(5)
    assert [attempt.given_up for attempt in wire.attempts] == [False, False]
    assert upstream.tally.retried == 0
