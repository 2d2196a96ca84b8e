"""Whoever watches a source knows what it said last, however the source is now."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from bff_core.discovery import Member, SourceFailed, Static, Watch, source_of
from bff_core.upstream_settings import UpstreamSettings
from bff_core.wire import Instance


def member(host: str, zone: str = "", weight: float = 1.0) -> Member:
    return Member(Instance("catalog", "http", host, 80), zone, weight)


A, B, C = member("a.test"), member("b.test"), member("c.test")

LONG = 3600  # seconds without news


class Scripted:
    """A source that goes through its steps: a set is said, an error raised, so many seconds waited. Then no news."""

    def __init__(self, *steps: Sequence[Member] | Exception | float, known: Sequence[Member] = ()) -> None:
        self.known = known
        self._steps = list(steps)
        self.began: list[float] = []
        """When it was read anew."""
        self.closed = 0
        self.let_go = 0
        """How many readings were closed."""

    async def sets(self) -> AsyncGenerator[Sequence[Member], None]:
        self.began.append(asyncio.get_running_loop().time())
        try:
            while self._steps:
                step = self._steps.pop(0)
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float | int):
                    await asyncio.sleep(step)
                else:
                    yield step
            await asyncio.Event().wait()
        finally:
            self.let_go += 1

    async def close(self) -> None:
        self.closed += 1


class Watched:
    """What was told of a source, and how it is."""

    def __init__(self, source: Scripted | Static) -> None:
        self.told: list[Sequence[Member]] = []
        self.watch = Watch("catalog", source, self.told.append)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.watch.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])
            assert running.cancelled()

    async def after(self, seconds: float) -> None:
        """Let it run for so long."""
        async with self.running():
            await asyncio.sleep(seconds)


async def watched(*steps: Sequence[Member] | Exception | float, known: Sequence[Member] = ()) -> Watched:
    """What comes of these steps."""
    found = Watched(Scripted(*steps, known=known))
    await found.after(LONG)
    return found


# what is told


async def test_each_set_that_differs_from_the_one_before_is_told() -> None:
    found = await watched([A], [A, B], [B], [])
    assert found.told == [(A,), (A, B), (B,), ()]
    assert found.watch.facts()["changes"] == 4


@pytest.mark.parametrize("again", [[A, B], [B, A], [A, B, A], (A, B)], ids=["equal", "turned", "doubled", "a tuple"])
async def test_of_a_set_that_is_equal_nobody_is_told(again: Sequence[Member]) -> None:
    found = await watched([A, B], again)
    assert found.told == [(A, B)]
    assert found.watch.facts()["changes"] == 1


async def test_what_is_known_without_asking_is_no_news() -> None:
    assert (await watched([A, B], known=[A, B])).told == []
    assert (await watched([B], known=[A])).told == [(B,)]


async def test_a_set_is_in_the_order_of_its_source_without_duplicates() -> None:
    assert (await watched([C, A, C, B, A])).told == [(C, A, B)]


async def test_an_instance_that_is_named_twice_is_as_it_was_named_last() -> None:
    assert (await watched([member("a.test", weight=1), B, member("a.test", weight=5)])).told == [
        (member("a.test", weight=5), B)
    ]


@pytest.mark.parametrize("changed", [member("a.test", weight=2), member("a.test", zone="eu")], ids=["weight", "zone"])
async def test_an_instance_that_is_elsewhere_or_counts_for_more_is_news(changed: Member) -> None:
    assert (await watched([A], [changed])).told == [(A,), (changed,)]


async def test_a_list_in_the_settings_is_known_at_once_and_never_news() -> None:
    places = [{"url": "http://a.test", "zone": "eu", "weight": 2}, "http://b.test"]
    listed = source_of("catalog", UpstreamSettings(instances=places))
    assert listed.known == (member("a.test", "eu", 2), B)
    found = Watched(listed)
    await found.after(LONG)
    assert found.told == []
    assert found.watch.facts()["last_answer_at"] is not None


# a source that fails


async def test_a_source_that_fails_changes_nothing() -> None:
    found = await watched([A, B], SourceFailed("down"), SourceFailed("still"), [A, B], SourceFailed("again"), [A, B])
    assert found.told == [(A, B)]


async def test_a_source_that_fails_first_is_listened_to_later() -> None:
    assert (await watched(SourceFailed("down"), [A])).told == [(A,)]


@pytest.mark.parametrize("known", [(), (A,)])
async def test_whoever_waits_for_a_first_answer_does_not_wait_for_a_source_that_fails(known: Sequence[Member]) -> None:
    for first in ([A], SourceFailed("down")):
        found = Watched(Scripted(7.0, first, known=known))
        async with found.running():
            await asyncio.sleep(6.9)
            assert not found.watch.answered.is_set()
            await asyncio.sleep(0.2)
            assert found.watch.answered.is_set()


async def test_pauses_grow_to_half_a_minute_and_no_two_are_alike() -> None:
    scripted = Scripted(*(SourceFailed("down") for _ in range(400)))
    await Watched(scripted).after(4 * LONG)
    pauses = [later - sooner for sooner, later in zip(scripted.began, scripted.began[1:], strict=False)]
    longest = [min(0.5 * 2**number, 30.0) for number in range(len(pauses))]
    assert len(pauses) > 100
    assert all(most / 10 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    late = pauses[10:]
    assert len(set(late)) == len(late)
    assert min(late) < 6
    assert max(late) > 27
    assert sum(late) / len(late) == pytest.approx(16.5, abs=3)


async def test_a_source_that_has_answered_is_asked_again_soon_when_it_fails_next() -> None:
    scripted = Scripted(*(SourceFailed("down") for _ in range(20)), [A], 1.0, SourceFailed("again"), [A])
    await Watched(scripted).after(LONG)
    assert 0.05 <= scripted.began[-1] - scripted.began[-2] - 1 <= 0.5


async def test_each_reading_is_closed_before_the_next_begins() -> None:
    scripted = Scripted([A], SourceFailed("down"), SourceFailed("down"), [B])
    found = Watched(scripted)
    async with found.running():
        await asyncio.sleep(LONG)
        assert (len(scripted.began), scripted.let_go, scripted.closed) == (3, 2, 0)
    assert (scripted.let_go, scripted.closed) == (3, 1)


class Ending(Scripted):
    """Against its promise, a source that ends."""

    async def sets(self) -> AsyncGenerator[Sequence[Member], None]:
        self.began.append(asyncio.get_running_loop().time())
        yield [A]


async def test_a_source_that_ends_has_failed() -> None:
    scripted = Ending()
    found = Watched(scripted)
    await found.after(LONG)
    assert len(scripted.began) > 5
    assert found.watch.facts()["failure"] == "ended without a reason"
    assert found.told == [(A,)]


# what is said of it


def warnings(records: Iterable[logging.LogRecord], level: int = logging.WARNING) -> list[str]:
    return [record.getMessage() for record in records if record.levelno == level]


async def test_a_bug_in_a_source_is_logged_with_where_it_is_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    found = await watched([A], KeyError("port"), [A, B])
    assert found.told == [(A,), (A, B)]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "catalog: a bug in its source"
    assert record.exc_info
    assert isinstance(record.exc_info[1], KeyError)


async def test_whoever_stumbles_over_news_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Sequence[Member]] = []

    def stumble_once(members: Sequence[Member]) -> None:
        told.append(members)
        if len(told) == 1:
            raise ValueError("not ready")

    scripted = Scripted([A], 1.0, [A], [A])
    watch = Watch("catalog", scripted, stumble_once)
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(LONG)
    assert told == [(A,), (A,)]
    assert (scripted.let_go, watch.facts()["changes"]) == (1, 1)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    running.cancel()
    await asyncio.wait([running])


async def test_what_answers_once_and_fails_at_once_is_asked_ever_more_slowly() -> None:
    steps = [step for _ in range(1000) for step in ([A], SourceFailed("may list, and not watch"))]
    scripted = Scripted(*steps)
    await Watched(scripted).after(LONG)
    assert len(scripted.began) < LONG / 10


async def test_what_has_answered_for_a_while_is_asked_again_soon_after_it_fails() -> None:
    steps = [step for _ in range(100) for step in ([A], 5.0, SourceFailed("now and then"))]
    scripted = Scripted(*steps)
    await Watched(scripted).after(LONG)
    pauses = [later - earlier - 5 for earlier, later in pairwise(scripted.began)]
    assert len(pauses) == 100
    assert max(pauses) <= 0.5


async def test_of_an_outage_its_begin_and_its_end_are_logged_and_no_failure_between(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "bff.discovery"):
        await watched([A], *(SourceFailed(f"down {number}") for number in range(5)), [A], [A], SourceFailed("anew"))
    assert warnings(caplog.records) == [
        "catalog: its source fails, and what is known stays: down 0",
        "catalog: its source fails, and what is known stays: anew",
    ]
    # after the last failure it is read anew, and has no news
    assert warnings(caplog.records, logging.INFO) == ["catalog: its source answers again"]


async def test_before_it_has_said_anything_there_is_nothing_to_say_of_it() -> None:
    found = Watched(Scripted(1.0, [A]))
    nothing = {"last_answer_at": None, "failing_since": None, "failure": None, "changes": 0}
    assert found.watch.facts() == nothing
    async with found.running():
        await asyncio.sleep(0.5)
        assert found.watch.facts() == nothing


async def test_a_source_that_answers_says_when_it_did() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    facts = (await watched([A])).watch.facts()
    answered = datetime.fromisoformat(facts.pop("last_answer_at"))
    assert before <= answered <= datetime.now(UTC)
    assert facts == {"failing_since": None, "failure": None, "changes": 1}


async def test_a_source_that_fails_says_since_when_and_why_until_it_answers() -> None:
    scripted = Scripted([A], SourceFailed("down"), 10.0, SourceFailed("still"), 10.0, [A])
    found = Watched(scripted)
    async with found.running():
        await asyncio.sleep(1)
        first = found.watch.facts()
        assert first["failure"] == "down"
        assert datetime.fromisoformat(first["failing_since"]) >= datetime.fromisoformat(first["last_answer_at"])
        await asyncio.sleep(10)
        assert found.watch.facts() == first | {"failure": "still"}
        await asyncio.sleep(30)
        assert found.watch.facts() | {"last_answer_at": ""} == {
            "last_answer_at": "", "failing_since": None, "failure": None, "changes": 1,
        }  # fmt: skip


# the end of it


@pytest.mark.parametrize("moment", [0.0, 0.1, 1.0, 2.0], ids=["at once", "asking", "between", "in a pause"])
async def test_watching_ends_by_being_cancelled_and_closes_its_source(moment: float) -> None:
    scripted = Scripted(0.5, [A], 1.0, SourceFailed("down"), *(SourceFailed("down") for _ in range(100)))
    found = Watched(scripted)
    await found.after(moment)
    assert scripted.let_go == len(scripted.began)
    assert scripted.closed == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}
