"""Asking instances whether they are well: when, what counts, and what comes of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from bff_core.discovery import Member
from bff_core.errors import BadReply, Busy, Unreachable
from bff_core.upstream import Upstream
from bff_core.wire import Instance, header
from tests.bff_core.played import Played
from tests.bff_core.scripted import HANGING, Attempt, ScriptedWire, Shop, Step, failing, fine, now, shop, turns

HEALTH = "/health?of=gateway"


class Patients(ScriptedWire):
    """Instances by name, each well unless the test says what its checks come to; calls are all answered."""

    def __init__(self) -> None:
        super().__init__(play=self._answer)
        self.ill: dict[str, Step | Callable[[], Step]] = {}

    def _answer(self, attempt: Attempt) -> Step:
        found = self.ill.get(name(attempt), fine()) if attempt.request.target == HEALTH else fine()
        return found() if callable(found) else found

    def checks(self, of: str | None = None) -> list[Attempt]:
        found = [attempt for attempt in self.attempts if attempt.request.target == HEALTH]
        return [attempt for attempt in found if of in {None, name(attempt)}]

    async def calls(self, client: Shop, number: int = 100) -> set[str]:
        """Who answers calls."""
        before = len(self.attempts)
        for _ in range(number):
            await client.book()
        return {name(attempt) for attempt in self.attempts[before:]}


def name(attempt: Attempt) -> str:
    return attempt.instance.host.removesuffix(".test")


def member(name: str) -> Member:
    return Member(Instance("shop", "http", f"{name}.test", 80))


@asynccontextmanager
async def checked(
    wire: ScriptedWire, *names: str, source: Played | None = None, **check: Any
) -> AsyncIterator[tuple[Shop, Upstream]]:
    """An upstream of these instances, whose checks have just begun; when it is closed, nothing is left."""
    where: dict[str, Any] = {} if source else {"instances": [f"http://{name}.test" for name in names or "ab"]}
    client, upstream = shop(wire, source=source, check={"path": HEALTH, **check}, **where)
    await upstream.start()
    await turns()
    try:
        yield client, upstream
    finally:
        await upstream.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}


def states(upstream: Upstream) -> dict[str, str]:
    return {fact["address"][7:].partition(".")[0]: fact["state"] for fact in upstream.facts()["instances"]}


async def test_each_instance_is_asked_from_the_start() -> None:
    wire = Patients()
    async with checked(wire, "a", "b", "c"):
        assert [name(attempt) for attempt in wire.checks()] == ["a", "b", "c"]
        asked = wire.attempts[0]
        assert (asked.request.method, asked.request.target, asked.request.body) == ("GET", HEALTH, b"")
        assert header(asked.request.headers, b"user-agent") == "bff-test/1"
        assert (asked.at, asked.until) == (0.0, 1.0)


async def test_without_settings_nobody_is_asked() -> None:
    wire = Patients()
    _, upstream = shop(wire)
    await upstream.start()
    await asyncio.sleep(100)
    assert not wire.attempts
    await upstream.close()


async def test_what_fails_three_checks_in_a_row_gets_no_calls_until_it_passes_two() -> None:
    wire = Patients()
    async with checked(wire) as (client, upstream):
        await asyncio.sleep(1000)  # however long it was well
        wire.ill["a"] = failing()
        well = len(wire.checks("a"))
        while len(wire.checks("a")) < well + 2:
            await asyncio.sleep(1)
        assert await wire.calls(client) == {"a", "b"}
        await asyncio.sleep(11)
        assert len(wire.checks("a")) == well + 3
        assert states(upstream) == {"a": "unhealthy", "b": "in use"}
        assert await wire.calls(client) == {"b"}
        await asyncio.sleep(1000)  # however long it was not
        wire.ill.clear()
        ill = len(wire.checks("a"))
        while len(wire.checks("a")) < ill + 1:
            await asyncio.sleep(1)
        assert await wire.calls(client) == {"b"}
        await asyncio.sleep(11)
        assert states(upstream) == {"a": "in use", "b": "in use"}
        assert await wire.calls(client) == {"a", "b"}


async def test_how_many_can_be_set() -> None:
    wire = Patients()
    wire.ill["a"] = failing()
    async with checked(wire, unhealthy=1, healthy=4, interval="1s") as (_, upstream):
        assert states(upstream)["a"] == "unhealthy"
        wire.ill.clear()
        while len(wire.checks("a")) < 4:
            await asyncio.sleep(0.1)
        assert states(upstream)["a"] == "unhealthy"
        await asyncio.sleep(1.2)
        assert states(upstream)["a"] == "in use"


async def test_one_that_passes_among_them_and_they_are_counted_anew() -> None:
    wire = Patients()
    ends = iter([failing(), failing(), fine()] * 10)
    wire.ill["a"] = lambda: next(ends)
    async with checked(wire) as (_, upstream):
        for _ in range(250):
            await asyncio.sleep(1)
            assert states(upstream)["a"] == "in use"
        wire.ill["a"] = failing()
        await asyncio.sleep(33)
        assert states(upstream)["a"] == "unhealthy"
        ends = iter([fine(), failing()] * 20)
        wire.ill["a"] = lambda: next(ends)
        for _ in range(250):
            await asyncio.sleep(1)
            assert states(upstream)["a"] == "unhealthy"


@pytest.mark.parametrize("interval", [10.0, 0.5])
async def test_they_are_asked_again_after_the_interval_a_tenth_more_or_less(interval: float) -> None:
    wire = Patients()
    async with checked(wire, "a", interval=f"{interval}s"):
        await asyncio.sleep(200 * interval)
        pauses = [later - earlier for earlier, later in pairwise(wire.times)]
    assert 0.9 * interval <= min(pauses) < 0.92 * interval
    assert 1.08 * interval < max(pauses) <= 1.1 * interval + 1e-9


FAILED = {
    **{str(status): failing(status=status) for status in (301, 400, 404, 429, 500, 503)},
    "refused": Step(Unreachable("shop", "refused")),
    "no HTTP": Step(BadReply("shop", "no HTTP")),
    "no answer": HANGING,
}


@pytest.mark.parametrize("end", FAILED.values(), ids=FAILED)
async def test_whatever_is_not_2xx_in_time_has_failed(end: Step) -> None:
    wire = Patients()
    wire.ill["a"] = end
    async with checked(wire) as (_, upstream):
        await asyncio.sleep(40)
        assert states(upstream) == {"a": "unhealthy", "b": "in use"}


@pytest.mark.parametrize("status", [200, 204, 299])
async def test_2xx_has_passed_whatever_it_says(status: int) -> None:
    wire = Patients()
    wire.ill["a"] = failing(status=status)
    async with checked(wire, unhealthy=1) as (_, upstream):
        assert states(upstream)["a"] == "in use"


async def test_that_we_have_no_connection_left_says_nothing_about_an_instance() -> None:
    wire = Patients()
    wire.ill["a"] = Step(Busy("shop", "every connection is taken"))
    async with checked(wire) as (_, upstream):
        await asyncio.sleep(100)
        assert states(upstream)["a"] == "in use"
        wire.ill["a"] = failing()
        await asyncio.sleep(33)
        wire.ill["a"] = Step(Busy("shop", "every connection is taken"))
        await asyncio.sleep(100)
        assert states(upstream)["a"] == "unhealthy"


async def test_who_does_not_answer_keeps_nobody_else_waiting() -> None:
    wire = Patients()
    wire.ill.update(a=HANGING, b=failing(0.1))
    async with checked(wire, "a", "b", "c", unhealthy=1, timeout="3s") as (_, upstream):
        await asyncio.sleep(0.2)
        assert states(upstream) == {"a": "in use", "b": "unhealthy", "c": "in use"}
        await asyncio.sleep(2.9)
        assert states(upstream)["a"] == "unhealthy"


async def test_at_most_32_are_asked_at_once() -> None:
    wire = Patients()
    names = [f"i{number}" for number in range(70)]
    wire.ill = dict.fromkeys(names, HANGING)
    async with checked(wire, *names):
        assert len(wire.under_way) == 32
        await asyncio.sleep(2.5)
        assert Counter(wire.times) == {0.0: 32, 1.0: 32, 2.0: 6}


async def test_when_all_are_unhealthy_all_get_calls() -> None:
    wire = Patients()
    wire.ill = dict.fromkeys("abc", failing())
    async with checked(wire, "a", "b", "c", unhealthy=1) as (client, upstream):
        assert set(states(upstream).values()) == {"unhealthy"}
        assert upstream.facts()["panic"]
        assert await wire.calls(client) == {"a", "b", "c"}


async def test_checks_are_no_calls() -> None:
    wire = Patients()
    wire.ill.update(a=failing(), b=HANGING)
    async with checked(wire) as (_, upstream):
        await asyncio.sleep(100)
        facts = upstream.facts()
        assert (facts["attempts"], facts["in_flight"], facts["circuit"]) == ({}, 0, "closed")
        assert [(fact["calls"], fact["failures"], fact["in_flight"]) for fact in facts["instances"]] == [(0, 0, 0)] * 2


# who comes and goes


async def test_what_comes_is_taken_for_well_and_asked_in_the_next_round() -> None:
    wire, source = Patients(), Played()
    source.say(member("a"), member("b"))
    wire.ill["c"] = failing()
    async with checked(wire, source=source, unhealthy=2) as (client, _):
        await asyncio.sleep(5)
        source.say(member("a"), member("b"), member("c"))
        await asyncio.sleep(1)
        assert await wire.calls(client) == {"a", "b", "c"}
        assert not wire.checks("c")
        await asyncio.sleep(22)
        assert len(wire.checks("c")) == 2
        assert await wire.calls(client) == {"a", "b"}


async def test_what_is_there_when_the_source_answers_first_need_not_wait_for_long() -> None:
    wire, source = Patients(), Played()
    async with checked(wire, source=source):
        await asyncio.sleep(3)
        source.say(member("a"), member("b"))
        await asyncio.sleep(11)
        assert [name(attempt) for attempt in wire.checks()] == ["a", "b"]


async def test_what_goes_while_it_is_asked_is_asked_no_more_and_no_harm_is_done() -> None:
    wire, source = Patients(), Played()
    source.say(member("a"), member("b"))
    async with checked(wire, source=source, unhealthy=1) as (client, upstream):
        await asyncio.sleep(12)
        wire.ill["a"] = failing(0.5)
        while not wire.under_way:
            await asyncio.sleep(0.1)
        source.say(member("b"))
        await asyncio.sleep(1)
        assert states(upstream) == {"b": "in use"}
        asked = len(wire.checks("a"))
        await asyncio.sleep(50)
        assert len(wire.checks("a")) == asked
        assert len(wire.checks("b")) > asked
        assert await wire.calls(client, 10) == {"b"}
        assert upstream._checks
        assert set(upstream._checks._streaks) == {member("b").instance}


async def test_what_goes_while_it_waits_for_its_turn_is_not_asked() -> None:
    wire, source = Patients(), Played()
    names = [f"i{number}" for number in range(40)]
    wire.ill = dict.fromkeys(names, HANGING)
    source.say(*map(member, names))
    async with checked(wire, source=source):
        while not wire.under_way:
            await asyncio.sleep(0.1)
        began = now()
        source.say(*map(member, names[:35]))
        await asyncio.sleep(1.5)
        assert [name(attempt) for attempt in wire.attempts if attempt.at > began] == ["i32", "i33", "i34"]


async def test_what_comes_back_unhealthy_is_found_out_by_its_next_check() -> None:
    wire, source = Patients(), Played()
    wire.ill["a"] = failing()
    source.say(member("a"), member("b"))
    async with checked(wire, source=source) as (_, upstream):
        await asyncio.sleep(45)
        assert states(upstream)["a"] == "unhealthy"
        source.say(member("b"))
        source.say(member("a"), member("b"))
        await asyncio.sleep(12)
        assert states(upstream)["a"] == "unhealthy"


# what must not happen


async def test_a_bug_is_logged_and_costs_nobody_else_his_checks(caplog: pytest.LogCaptureFixture) -> None:
    def bug() -> Step:
        raise ValueError("a bug of ours")

    wire = Patients()
    wire.ill.update(a=bug, c=failing())
    async with checked(wire, "a", "b", "c", unhealthy=2) as (client, upstream):
        await asyncio.sleep(25)
        assert len(wire.checks("b")) == 3
        assert states(upstream) == {"a": "in use", "b": "in use", "c": "unhealthy"}
        found = [record for record in caplog.records if record.exc_info]
        assert [record.getMessage() for record in found] == ["shop: http://a.test:80: a bug in its check"] * 3
        assert all(record.exc_info and isinstance(record.exc_info[1], ValueError) for record in found)
        wire.ill.clear()
        await asyncio.sleep(25)
        assert await wire.calls(client) == {"a", "b", "c"}


async def test_closing_gives_up_what_is_under_way() -> None:
    wire = Patients()
    names = [f"i{number}" for number in range(40)]
    wire.ill = dict.fromkeys(names, HANGING)
    async with checked(wire, *names):
        await asyncio.sleep(0.5)
        assert len(wire.under_way) == 32
    assert all(attempt.given_up for attempt in wire.attempts)
    await asyncio.sleep(100)
    assert len(wire.attempts) == 32
