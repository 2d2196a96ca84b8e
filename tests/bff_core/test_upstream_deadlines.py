"""How long a call has, what is refused because of that, and what becomes of those whose callers have left."""

import asyncio
import gc
import weakref
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import pytest

from bff_core.composition import Composition
from bff_core.context import RequestContext, enter
from bff_core.errors import BadStatus, DeadlinePassed, Reason, TimedOut, TooLate
from bff_core.upstream import Call
from bff_core.upstream.circuit import State
from bff_core.upstream_settings import RetrySettings
from tests.bff_core.scripted import (
    HANGING,
    Book,
    ScriptedWire,
    Shop,
    ask,
    failing,
    fine,
    now,
    request,
    shop,
    turns,
    well_known,
)

T = TypeVar("T")

ONCE = RetrySettings(attempts=0)

UNSAFE = {
    "POST": lambda client: client.buy(),
    "POST with a key": lambda client: client.buy("key"),
    "PUT": lambda client: client.shelve(),
    "DELETE": lambda client: client.discard(),
}
each_unsafe = pytest.mark.parametrize("make", UNSAFE.values(), ids=UNSAFE)


# what is told


async def test_every_attempt_has_the_upstreams_timeout_and_is_told_what_is_left_of_the_callers_time() -> None:
    wire = ScriptedWire(failing(0.2), failing(0.2), fine())
    client, _ = shop(wire, timeout="300ms", retry={"first_pause": "0.001ms"})
    enter(request(0.5))
    await client.book()
    assert [round(attempt.until - attempt.at, 6) for attempt in wire.attempts] == [0.3] * 3
    assert [attempt.told for attempt in wire.attempts] == pytest.approx([300, 300, 100], abs=1)


async def test_what_is_told_is_what_is_left_of_the_part_and_not_of_the_page() -> None:
    wire = ScriptedWire(fine())
    client, _ = shop(wire, timeout="2s")
    async with Composition(request(2.0)) as page:
        page.required("required", client.book("required"))
        page.optional("optional", client.book("optional"))
        page.optional("short", client.book("short"), within=0.1)
    assert [attempt.told for attempt in wire.attempts] == [1700, 850, 100]


# what is refused


@pytest.mark.parametrize(("known", "refused"), [(0, False), (19, False), (20, True)])
async def test_what_half_of_the_answers_would_miss_is_not_sent(known: int, refused: bool) -> None:
    wire = ScriptedWire(HANGING)
    client, upstream = shop(wire)
    well_known(upstream, 0.4, answers=known)
    enter(request(0.3))
    with pytest.raises(TooLate) as late:
        await client.book()
    assert (type(late.value) is DeadlinePassed) == refused
    assert len(wire.attempts) == (not refused)
    assert (now() < 0.001) == refused
    assert upstream.tally.refused == ({Reason.DEADLINE: 1} if refused else {})


async def test_a_page_says_that_it_was_the_deadline() -> None:
    client, upstream = shop(ScriptedWire(fine()))
    well_known(upstream, 0.4)
    async with Composition(request(2.0)) as page:
        part = page.optional("book", client.book(), within=0.3)
        other = page.optional("other", client.book("other"), within=0.5)
    assert (part.missing, other.value) == (Reason.DEADLINE, Book(id="pojos"))


async def test_what_was_slow_is_used_again_ten_seconds_later_although_nobody_could_wait_for_it_meanwhile() -> None:
    slow = True
    wire = ScriptedWire(play=lambda _: fine(0.4 if slow else 0.01))
    client, _ = shop(wire)
    await asyncio.gather(*[asyncio.create_task(ask(client.book(f"b{number}"))) for number in range(50)])
    slow, began, refused = False, now(), 0
    while True:
        try:
            await ask(client.book(), request(0.3))
            break
        except DeadlinePassed:
            refused += 1
            await asyncio.sleep(0.1)
    assert 9.0 <= now() - began <= 10.4
    assert refused > 80


async def test_an_upstream_slower_than_every_deadline_for_a_while_is_used_again_within_twelve_seconds() -> None:
    wire = ScriptedWire(play=lambda attempt: fine(0.45 if attempt.at < 20 else 0.01))
    client, _ = shop(wire)
    answered_at: list[float] = []

    async def page() -> None:
        async with Composition(request(2.0)) as page:
            part = page.optional("book", client.book(f"{now()}"), within=0.3)
        if part.value is not None:
            answered_at.append(now())

    tasks = []
    for _ in range(40 * 20):
        tasks.append(asyncio.create_task(page()))
        await asyncio.sleep(0.05)
    await asyncio.gather(*tasks)
    assert 20 < min(answered_at) < 32


# how what is stopped counts


@pytest.mark.parametrize(
    ("usual", "ran", "counted"),
    [
        (None, 0.24, "ours"),  # half of the timeout is too little to judge by
        (None, 0.26, "failure"),
        (0.01, 0.09, "ours"),  # a tenth of a second is always too little
        (0.01, 0.11, "failure"),
        (0.2, 0.19, "ours"),
        (0.2, 0.23, "failure"),
    ],
)
@pytest.mark.parametrize("how", ["its page's deadline", "its part's time", "its own deadline", "the client has left"])
async def test_what_is_stopped_from_above_has_failed_where_it_took_longer_than_almost_all(
    usual: float | None, ran: float, counted: str, how: str
) -> None:
    client, upstream = shop(ScriptedWire(HANGING))
    if usual is not None:  # of one in ten; the others are quick
        well_known(upstream, 0.001, answers=18)
        well_known(upstream, usual, answers=2)
    match how:
        case "its page's deadline":
            with pytest.raises(TooLate):
                async with Composition(request(ran / 0.85)) as page:
                    page.required("book", client.book())
        case "its part's time":
            async with Composition(request(2.0)) as page:
                page.optional("book", client.book(), within=ran)
        case "its own deadline":
            with pytest.raises(TooLate):
                await ask(client.book(), request(ran))
        case _:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(ran):
                    await client.book()
    assert upstream.tally.counts() == {counted: 1}
    assert upstream.tally.last_failure == ("stopped after too long" if counted == "failure" else None)
    assert upstream.bulkhead.in_flight == 0


async def test_what_was_usual_is_what_it_is_judged_by_after_nothing_has_been_heard_for_long() -> None:
    client, upstream = shop(ScriptedWire(HANGING))
    well_known(upstream, 0.12)
    assert upstream.latency.p95(now()) is not None
    await asyncio.sleep(60)
    with pytest.raises(TooLate):
        await ask(client.book(), request(0.15))
    assert upstream.tally.counts() == {"failure": 1}


async def test_hasty_clients_open_no_circuit() -> None:
    client, upstream = shop(ScriptedWire(fine(0.03)))
    for number in range(500):
        with pytest.raises(TooLate):
            await ask(client.book(f"b{number}"), request(0.01))
    assert upstream.circuit.state is State.CLOSED
    assert set(upstream.tally.counts()) <= {"ours"}


async def test_what_hangs_behind_a_short_part_opens_its_circuit() -> None:
    client, upstream = shop(ScriptedWire(HANGING))
    well_known(upstream, 0.05)
    for number in range(20):
        async with Composition(request(2.0)) as page:
            part = page.optional("book", client.book(f"b{number}"), within=0.2)
        assert part.missing is Reason.TIMEOUT
    assert upstream.circuit.state is State.OPEN


# who has left


async def test_with_the_client_its_attempts_are_gone_in_the_same_turn() -> None:
    wire = ScriptedWire(HANGING)
    client, upstream = shop(wire)

    async def page() -> None:
        async with Composition(request(2.0)) as page:
            for number in range(7):
                page.required(f"p{number}", client.book(f"b{number}"))

    task = asyncio.create_task(page())
    await asyncio.sleep(0.05)
    assert upstream.bulkhead.in_flight == 7
    task.cancel()
    await turns(1)
    assert all(attempt.given_up for attempt in wire.attempts)
    assert (now(), upstream.bulkhead.in_flight, upstream._in_the_air) == (0.05, 0, {})


@each_unsafe
async def test_what_may_have_changed_something_runs_on_without_its_client_until_its_own_timeout(make: Any) -> None:
    wire = ScriptedWire(HANGING)
    client, upstream = shop(wire)
    task = asyncio.create_task(ask(make(client)))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.sleep(0.39)
    assert not wire.attempts[0].given_up
    assert upstream.bulkhead.in_flight == 1
    await asyncio.sleep(0.02)
    assert (upstream.bulkhead.in_flight, upstream.tally.counts()) == (0, {"failure": 1})
    await asyncio.sleep(5)
    assert len(wire.attempts) == 1


@each_unsafe
async def test_and_counts_by_how_it_ends(make: Any) -> None:
    for step, counted in ((fine(0.3), "success"), (failing(0.3), "failure"), (failing(0.3, status=429), "neither")):
        wire = ScriptedWire(step)
        client, upstream = shop(wire)
        task = asyncio.create_task(ask(make(client)))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.sleep(5)
        assert (len(wire.attempts), upstream.tally.counts(), upstream.bulkhead.in_flight) == (1, {counted: 1}, 0)


@each_unsafe
async def test_its_deadline_and_the_end_of_its_page_do_not_take_it_back_either(make: Any) -> None:
    async def awaited(client: Shop, call: Call[Any]) -> None:
        with pytest.raises(TooLate):
            await ask(call, request(0.1))

    async def late_part(client: Shop, call: Call[Any]) -> None:
        async with Composition(request(2.0)) as page:
            page.optional("change", call, within=0.1)

    async def failing_page(client: Shop, call: Call[Any]) -> None:
        with pytest.raises(BadStatus):
            async with Composition(request(2.0)) as page:
                page.optional("change", call)
                page.required("book", client.book())

    async def late_page(client: Shop, call: Call[Any]) -> None:
        with pytest.raises(TooLate):
            async with Composition(request(0.1)) as page:
                page.required("change", call)

    for end in (awaited, late_part, failing_page, late_page):
        wire = ScriptedWire(
            play=lambda attempt: failing(0.1, status=500) if attempt.request.method == "GET" else fine(0.4)
        )
        client, upstream = shop(wire)
        began = now()
        await end(client, make(client))
        assert now() - began <= 0.15
        assert (wire.attempts[0].given_up, upstream.bulkhead.in_flight) == (False, 1)
        await asyncio.sleep(5)
        assert upstream.bulkhead.in_flight == 0
        assert upstream.tally.counts()["success"] == 1


async def test_a_probe_that_changes_something_is_heard_of_although_its_client_has_left() -> None:
    wire = ScriptedWire(failing(), fine(0.3))
    client, upstream = shop(wire, circuit={"attempts": 1, "successes": 1})
    with pytest.raises(BadStatus):
        await client.buy()
    await asyncio.sleep(6.1)
    task = asyncio.create_task(ask(client.buy()))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.sleep(0.1)
    assert upstream.circuit.state is State.HALF_OPEN
    await asyncio.sleep(0.2)
    assert upstream.circuit.state is State.CLOSED


async def test_what_changes_something_has_its_own_timeout_like_any_call() -> None:
    client, upstream = shop(ScriptedWire(HANGING))
    with pytest.raises(TimedOut):
        await client.buy()
    assert (now(), upstream.bulkhead.in_flight) == (0.5, 0)


async def test_a_bug_in_a_call_that_nobody_waits_for_any_more_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    wire = ScriptedWire(fine(0.4))
    client, _ = shop(wire)
    task = asyncio.create_task(ask(client.buy()))
    await asyncio.sleep(0.1)
    task.cancel()
    await turns()
    wire.attempts[0].break_(ZeroDivisionError())
    assert [record.message for record in caplog.records] == ["a bug, in a call that nobody waited for any more"]


async def test_a_failure_is_not_kept_until_the_deadline_and_with_it_the_page() -> None:
    client, _ = shop(ScriptedWire(failing(0.1, status=500)))

    class Large:
        """Something that a page holds."""

    async def page() -> "weakref.ref[Large]":
        large = Large()
        with suppress(BadStatus):
            await client.book()
        return weakref.ref(large)

    gc.collect()
    gc.disable()
    try:
        large = await asyncio.create_task(ask_within(page(), request(60)))
        assert large() is None
    finally:
        gc.enable()


async def ask_within(page: Coroutine[Any, Any, T], context: RequestContext) -> T:
    enter(context)
    return await page
