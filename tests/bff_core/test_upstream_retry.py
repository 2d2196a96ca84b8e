"""Trying again: what is, how often, when, by whom it is paid, and what becomes of those who cannot wait."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from bff_core.context import enter
from bff_core.errors import (
    BadReply,
    BadStatus,
    GatewayError,
    NotFound,
    Reason,
    StaleConnection,
    Throttled,
    TimedOut,
    Unreachable,
)
from bff_core.upstream import Call, Flight
from bff_core.upstream.circuit import State
from bff_core.upstream_settings import CircuitSettings, RetrySettings
from bff_core.wire import header
from tests.bff_core.scripted import (
    Book,
    ScriptedWire,
    Shop,
    Step,
    ask,
    failing,
    fine,
    now,
    replying,
    request,
    shop,
    turns,
)

UNLIMITED = {"budget": 1.0, "budget_floor": 100_000}
NO_CIRCUIT = CircuitSettings(enabled=False)


def asked(wire: ScriptedWire) -> list[str]:
    """Of two instances, the one that was asked first and the other."""
    first = wire.attempts[0].instance
    return ["one" if attempt.instance == first else "other" for attempt in wire.attempts]


# what is tried again


async def test_a_call_that_failed_once_is_tried_on_another_instance_and_nobody_notices() -> None:
    wire = ScriptedWire(failing(), fine())
    client, upstream = shop(wire)
    assert await client.book() == Book(id="pojos")
    assert asked(wire) == ["one", "other"]
    assert upstream.tally.counts() == {"success": 1, "failure": 1}
    assert (upstream.tally.retried, upstream.budget.spent, upstream.bulkhead.in_flight) == (1, 1, 0)


@pytest.mark.parametrize("extra", [0, 1, 2, 5])
async def test_it_is_tried_so_many_times_again_and_then_it_has_failed(extra: int) -> None:
    wire = ScriptedWire(failing())
    client, _ = shop(wire, retry=RetrySettings(attempts=extra))
    with pytest.raises(BadStatus):
        await client.book()
    assert asked(wire) == ["one", "other", "one", "other", "one", "other"][: 1 + extra]


async def test_by_default_there_are_two_extra_attempts() -> None:
    wire = ScriptedWire(failing())
    with pytest.raises(BadStatus):
        await shop(wire)[0].book()
    assert len(wire.attempts) == 3


async def test_it_is_another_instance_also_where_that_was_asked_meanwhile() -> None:
    wire = ScriptedWire(failing(0.1), fine(), fine())
    client, _ = shop(wire)
    failed = asyncio.create_task(ask(client.book("a")))
    await turns()
    await client.book("b")  # on the other one, which has less to do
    await failed
    assert asked(wire) == ["one", "other", "other"]


async def test_where_there_is_one_instance_it_is_tried_there() -> None:
    wire = ScriptedWire(failing(), fine())
    client, _ = shop(wire, instances=["http://a.test"])
    assert await client.book() == Book(id="pojos")
    assert asked(wire) == ["one", "one"]


OUTCOMES: list[tuple[Step, type[GatewayError], bool]] = [
    *((failing(status=status), BadStatus, True) for status in (502, 503, 504)),
    *((failing(status=status), Throttled, True) for status in (408, 425, 429)),
    (Step(Unreachable("shop", "refused")), Unreachable, True),
    (Step(StaleConnection("shop", "closed")), StaleConnection, True),
    (fine(after=1e9), TimedOut, True),
    *((failing(status=status), BadStatus, False) for status in (302, 400, 403, 410, 422, 500, 501, 505)),
    (failing(status=404), NotFound, False),
    (replying({"of": "another shape"}), BadReply, False),
    (Step(BadReply("shop", "no HTTP")), BadReply, False),
]


@pytest.mark.parametrize(
    ("step", "error", "repeated"), OUTCOMES, ids=lambda value: str(getattr(value, "outcome", value))
)
async def test_what_is_repeated_is_in_the_table(step: Step, error: type[GatewayError], repeated: bool) -> None:
    wire = ScriptedWire(step)
    client, _ = shop(wire, retry=RetrySettings(attempts=1))
    with pytest.raises(error):
        await client.book()
    assert len(wire.attempts) == 1 + repeated


@pytest.mark.parametrize(
    ("make", "repeated"),
    [
        (lambda client: client.buy(), False),
        (lambda client: client.buy("key-1"), True),
        (lambda client: client.shelve(), True),
        (lambda client: client.discard(), True),
        (lambda client: client.book(), True),
    ],
    ids=["POST", "POST with a key", "PUT", "DELETE", "GET"],
)
async def test_what_changes_something_is_repeated_only_where_twice_is_as_good_as_once(
    make: Any, repeated: bool
) -> None:
    wire = ScriptedWire(failing())
    call: Call[Any] = make(shop(wire, retry=RetrySettings(attempts=1))[0])
    with pytest.raises(BadStatus):
        await call
    assert len(wire.attempts) == 1 + repeated


async def test_what_is_sent_again_is_the_same_with_the_same_key() -> None:
    wire = ScriptedWire(failing(), fine())
    await shop(wire)[0].buy("key-1")
    first, second = (attempt.request for attempt in wire.attempts)
    assert (first.method, first.target, first.body) == (second.method, second.target, second.body)
    assert [header(sent.headers, b"idempotency-key") for sent in (first, second)] == ["key-1"] * 2


async def test_a_download_is_tried_again_until_its_head_is_there_and_never_after() -> None:
    wire = ScriptedWire(failing(), fine())
    client, _ = shop(wire)
    stream = await client.picture()
    assert [kept.closed for kept in wire.streams] == [True, False]
    with pytest.raises(Unreachable):
        async for _ in stream:
            pass
    await asyncio.sleep(10)
    assert len(wire.attempts) == 2


# when


async def test_a_pause_is_anything_up_to_a_bound_that_doubles_up_to_a_bound() -> None:
    wire = ScriptedWire(failing())
    client, _ = shop(wire, retry=RetrySettings(attempts=6, **UNLIMITED), circuit=NO_CIRCUIT)
    pauses: list[list[float]] = [[] for _ in range(6)]
    for _ in range(200):
        wire.attempts.clear()
        with pytest.raises(BadStatus):
            await client.book()
        for number, (before, after) in enumerate(zip(wire.times, wire.times[1:], strict=False)):
            pauses[number].append(after - before)
    for drawn, most in zip(pauses, [0.025, 0.05, 0.1, 0.2, 0.25, 0.25], strict=True):
        assert 0 <= min(drawn) < 0.1 * most
        assert 0.9 * most < max(drawn) <= most + 1e-9
        assert sum(drawn) / len(drawn) == pytest.approx(most / 2, rel=0.2)


async def test_the_pauses_can_be_set() -> None:
    wire = ScriptedWire(failing())
    times = {"first_pause": "1s", "longest_pause": "1500ms"}
    client, _ = shop(wire, retry={"attempts": 2, **times, **UNLIMITED}, circuit=NO_CIRCUIT)
    longest = [0.0, 0.0]
    for _ in range(100):
        wire.attempts.clear()
        with pytest.raises(BadStatus):
            await client.book()
        first, second, third = wire.times
        longest = [max(longest[0], second - first), max(longest[1], third - second)]
    assert 0.7 < longest[0] <= 1.0
    assert 1.05 < longest[1] <= 1.5


async def test_it_is_left_alone_for_as_long_as_it_asks_for() -> None:
    wire = ScriptedWire(failing(status=429, retry_after=1), fine())
    enter(request(2.0))
    assert await shop(wire)[0].book() == Book(id="pojos")
    assert 1.0 <= wire.times[1] <= 1.025  # a little more, or all who were told so are back at once


async def test_a_503_may_ask_for_time_too() -> None:
    wire = ScriptedWire(failing(status=503, retry_after=1), fine())
    assert await shop(wire)[0].book() == Book(id="pojos")
    assert 1.0 <= wire.times[1] <= 1.025


@pytest.mark.parametrize("asked_for", [10, 3600])
async def test_a_call_without_a_deadline_is_not_endlessly_patient(asked_for: int) -> None:
    wire = ScriptedWire(failing(status=429, retry_after=asked_for))
    with pytest.raises(Throttled):
        await shop(wire)[0].book()
    assert (now(), len(wire.attempts)) == (0.0, 1)


@pytest.mark.parametrize("left", [0.2, 1.0])
async def test_where_that_is_longer_than_the_deadline_allows_it_has_failed_at_once(left: float) -> None:
    wire = ScriptedWire(failing(status=429, retry_after=1))
    client, upstream = shop(wire)
    enter(request(left))
    with pytest.raises(Throttled) as throttled:
        await client.book()
    assert throttled.value.retry_after == 1.0
    assert (now(), len(wire.attempts), upstream.budget.spent) == (0.0, 1, 0)


async def test_another_attempt_is_told_what_is_left_now() -> None:
    wire = ScriptedWire(failing(0.3, status=429, retry_after=1), fine())
    enter(request(1.5))
    await shop(wire)[0].book()
    assert [attempt.told for attempt in wire.attempts] == [500, int((1.5 - wire.times[1]) * 1000)]
    assert wire.attempts[1].until == wire.times[1] + 0.5  # which is up to the page


# who pays


async def test_without_a_budget_a_call_fails_as_it_failed() -> None:
    wire = ScriptedWire(failing())
    client, upstream = shop(wire, retry=RetrySettings(budget=0.0, budget_floor=0))
    with pytest.raises(BadStatus):
        await client.book()
    assert (len(wire.attempts), upstream.budget.refused, upstream.tally.retried) == (1, 1, 0)


async def test_all_who_call_share_one_budget() -> None:
    wire = ScriptedWire(failing())
    client, upstream = shop(wire, retry=RetrySettings(attempts=1, budget=0.0, budget_floor=3), circuit=NO_CIRCUIT)
    tasks = [asyncio.create_task(ask(client.book(f"b{number}"))) for number in range(10)]
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(end) for end in ends} == {BadStatus}
    assert len(wire.attempts) == 13
    assert (upstream.budget.spent, upstream.budget.refused, upstream.facts()["retries_left"]) == (3, 7, 0)


async def test_an_outage_is_not_multiplied() -> None:
    wire = ScriptedWire(failing())
    client, _ = shop(wire, circuit=NO_CIRCUIT)
    tasks = []
    for number in range(3000):  # a hundred a second
        tasks.append(asyncio.create_task(ask(client.book(f"b{number}"))))
        await asyncio.sleep(0.01)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert 1.05 * 3000 < len(wire.attempts) <= 1.1 * 3000 + 10


# when not


async def test_while_the_circuit_is_open_nothing_is_tried_again_and_the_failure_is_the_one_that_opened_it() -> None:
    wire = ScriptedWire(failing())
    client, upstream = shop(wire, circuit=CircuitSettings(attempts=1))
    with pytest.raises(BadStatus):
        await client.book()
    assert len(wire.attempts) == 1
    assert (upstream.circuit.state, upstream.budget.spent) == (State.OPEN, 0)


async def test_a_probe_is_not_tried_again() -> None:
    wire = ScriptedWire(failing())
    client, upstream = shop(wire, circuit=CircuitSettings(attempts=1))
    for _ in range(3):
        wire.attempts.clear()
        await asyncio.sleep(6.1)
        with pytest.raises(BadStatus):
            await client.book()
        assert len(wire.attempts) == 1
    assert (upstream.circuit.opened, upstream.budget.spent) == (3, 0)


async def test_a_circuit_that_opens_during_the_pause_lets_nothing_through() -> None:
    wire = ScriptedWire(failing(status=429, retry_after=1), failing())
    client, upstream = shop(wire, circuit=CircuitSettings(attempts=1))
    task = asyncio.create_task(ask(client.book("slow"), request(2.0)))
    await asyncio.sleep(0.5)
    with pytest.raises(BadStatus):
        await client.book()
    with pytest.raises(Throttled):  # which tells more than that it is not asked again
        await task
    assert (len(wire.attempts), upstream.bulkhead.in_flight, upstream.tally.retried) == (2, 0, 0)
    assert upstream.tally.refused == {Reason.CIRCUIT: 1}


@pytest.mark.parametrize("method", ["book", "shelve"])
async def test_for_those_who_have_left_during_the_pause_nothing_is_tried_again(method: str) -> None:
    wire = ScriptedWire(failing(status=429, retry_after=1))
    client, upstream = shop(wire)
    task = asyncio.create_task(ask(getattr(client, method)()))
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.sleep(5)
    assert len(wire.attempts) == 1
    assert (upstream.tally.retried, upstream.bulkhead.in_flight) == (0, 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_not_even_in_the_turn_in_which_the_pause_ends() -> None:
    wire = ScriptedWire(failing(status=429, retry_after=1))
    client, _ = shop(wire, retry={"first_pause": "0.0000000001ms"})
    task = asyncio.create_task(ask(client.book()))
    asyncio.get_running_loop().call_at(1.0 + 5e-10, task.cancel)  # just after the timer of the pause
    await asyncio.sleep(5)
    assert task.cancelled()
    assert len(wire.attempts) == 1


async def test_for_those_who_have_left_before_an_unsafe_call_failed_nothing_is_tried_again() -> None:
    wire = ScriptedWire(failing(0.3))
    client, upstream = shop(wire)
    task = asyncio.create_task(ask(client.shelve()))
    await asyncio.sleep(0.1)
    task.cancel()
    await turns()
    assert not wire.attempts[0].given_up
    await asyncio.sleep(5)
    assert (len(wire.attempts), upstream.bulkhead.in_flight) == (1, 0)


# how


@contextmanager
def watched(module: str) -> Iterator[set[str]]:
    """The functions of a module that are called meanwhile."""
    called: set[str] = set()

    def see(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_globals.get("__name__", "").split(".")[0] == module:
            called.add(frame.f_code.co_qualname)

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        yield called
    finally:
        sys.setprofile(before)


async def test_a_call_that_succeeds_or_is_not_worth_it_never_comes_near_tenacity() -> None:
    wire = ScriptedWire(fine(), fine(0.1), failing(status=404), failing(status=500), failing())
    client, _ = shop(wire)
    with watched("tenacity") as called:
        await client.book()
        await client.book()
        for error in (NotFound, BadStatus):
            with pytest.raises(error):
                await client.book()
        with pytest.raises(BadStatus):
            await client.buy()
        assert not called
        with pytest.raises(BadStatus):
            await client.book()
        assert called


async def test_a_service_that_is_never_asked_again_never_comes_near_tenacity() -> None:
    client, _ = shop(ScriptedWire(failing()), retry=RetrySettings(attempts=0))
    with watched("tenacity") as called, pytest.raises(BadStatus):
        await client.book()
    assert not called


async def test_calls_that_fail_at_once_do_not_mix_up_whose_turn_it_is() -> None:
    wire = ScriptedWire(play=lambda attempt: failing() if tries(wire, attempt) <= 2 else fine())

    def tries(wire: ScriptedWire, attempt: Any) -> int:
        return wire.targets.count(attempt.request.target)

    client: Shop
    client, _ = shop(wire, retry=RetrySettings(**UNLIMITED), circuit=NO_CIRCUIT)
    tasks = [asyncio.create_task(ask(client.book(f"b{number}"))) for number in range(50)]
    assert await asyncio.gather(*tasks) == [Book(id="pojos")] * 50
    assert len(wire.attempts) == 150


async def test_who_leaves_in_the_turn_in_which_a_pause_would_have_ended_leaves_no_complaint() -> None:
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    client, upstream = shop(ScriptedWire(failing(status=429, retry_after=1)), retry={"first_pause": "0.0000000001ms"})
    waiting = Waiting()
    # scheduled first, and with the timer of the pause less than the clock can tell behind it
    loop.call_at(1.0, lambda: flight.leave(waiting))
    flight = client.book().fly(request(), 9.0, waiting, loop.time)
    await asyncio.sleep(2)
    assert flight.done
    assert not complaints
    assert upstream.bulkhead.in_flight == 0


class Waiting:
    def landed(self, flight: Flight[Any]) -> None:
        """It does not matter how."""
