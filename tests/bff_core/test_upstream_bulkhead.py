"""The bulkhead: how many are let in, and, where it is adaptive, what it makes of a server in virtual time."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bff_core.errors import Busy, Reason
from bff_core.upstream.bulkhead import AdaptiveBulkhead, Bulkhead, bulkhead
from bff_core.upstream_settings import BulkheadSettings


class AgainstACount(RuleBasedStateMachine):
    @initialize(limit=st.integers(1, 20), adaptive=st.booleans())
    def begin(self, limit: int, adaptive: bool) -> None:
        self.settings = BulkheadSettings(limit=limit, adaptive=adaptive, least=1, most=20)
        self.bulkhead = bulkhead("shop", self.settings)
        self.inside = 0

    @rule(times=st.integers(1, 25))
    def ask(self, times: int) -> None:
        for _ in range(times):
            try:
                self.bulkhead.admit()
            except Busy:
                assert self.inside >= self.bulkhead.limit
            else:
                assert self.inside < self.bulkhead.limit
                self.bulkhead.enter()
                self.inside += 1

    @precondition(lambda self: self.inside)
    @rule(times=st.integers(1, 20), ran=st.none() | st.floats(0, 60))
    def leave(self, times: int, ran: float | None) -> None:
        for _ in range(min(times, self.inside)):
            self.bulkhead.leave()
            self.inside -= 1
            if ran is not None:
                self.bulkhead.answered(ran)

    @rule(times=st.integers(1, 200), ran=st.sampled_from([0.0, 0.01, 1.0]) | st.floats(0, 60))
    def be_used(self, times: int, ran: float) -> None:
        for _ in range(times):
            self.ask(1)
            if self.inside:
                self.leave(1, ran)

    @invariant()
    def it_knows_how_many_are_inside(self) -> None:
        assert self.bulkhead.in_flight == self.inside
        assert self.bulkhead.half_full == (self.inside > self.bulkhead.limit / 2)

    @invariant()
    def its_limit_is_what_was_set_or_between_the_least_and_the_most(self) -> None:
        if self.settings.adaptive:
            assert 1 <= self.bulkhead.limit <= 20
        else:
            assert self.bulkhead.limit == self.settings.limit


TestAgainstACount = AgainstACount.TestCase


def test_the_next_one_is_refused_at_once_and_told_that_it_is_busy() -> None:
    full = Bulkhead("shop", 2)
    for _ in range(2):
        full.admit()
        full.enter()
    with pytest.raises(Busy, match="shop") as refused:
        full.admit()
    assert (refused.value.reason, refused.value.retry_after) == (Reason.BUSY, 1.0)
    full.leave()
    full.admit()


def test_it_is_adaptive_only_where_that_is_asked_for() -> None:
    assert type(bulkhead("shop", BulkheadSettings())) is Bulkhead
    assert type(bulkhead("shop", BulkheadSettings(adaptive=True))) is AdaptiveBulkhead


class Server:
    """So many workers, each busy with a request for about ``work`` seconds, and a queue before them without an end."""

    def __init__(self, workers: int, work: float, found: Bulkhead) -> None:
        self._free = [0.0] * workers
        self.work, self._bulkhead = work, found
        self.answered = self.refused = 0
        self._random = random.Random(7)

    async def bear(self, rate: float, seconds: float) -> None:
        """Be asked so often, at random moments."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        self.answered = self.refused = 0
        while loop.time() < end:
            await asyncio.sleep(self._random.expovariate(rate))
            try:
                self._bulkhead.admit()
            except Busy:
                self.refused += 1
            else:
                self._ask(loop)

    def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        self._bulkhead.enter()
        worker = min(range(len(self._free)), key=self._free.__getitem__)
        begins = max(self._free[worker], loop.time())
        self._free[worker] = begins + self.work * self._random.uniform(0.8, 1.2)
        loop.call_at(self._free[worker], self._answer, loop, loop.time())

    def _answer(self, loop: asyncio.AbstractEventLoop, asked: float) -> None:
        self._bulkhead.leave()
        self._bulkhead.answered(loop.time() - asked)
        self.answered += 1


def server(limit: int = 100, *, workers: int = 10, work: float = 0.05, **settings: int) -> tuple[Server, Bulkhead]:
    """Takes 200 a second, with ten at once."""
    found = bulkhead("shop", BulkheadSettings(adaptive=True, limit=limit, **settings))
    return Server(workers, work, found), found


async def test_under_an_overload_it_comes_down_to_about_what_the_server_can_do_and_wastes_nothing_of_that() -> None:
    overloaded, limiting = server()
    await overloaded.bear(100, 10)
    assert (overloaded.refused, limiting.limit) == (0, 100)
    await overloaded.bear(400, 10)
    assert 10 <= limiting.limit <= 30
    await overloaded.bear(400, 10)
    assert overloaded.answered >= 0.95 * 200 * 10


async def test_an_overload_that_lasts_does_not_become_what_is_usual() -> None:
    overloaded, limiting = server()
    await overloaded.bear(100, 10)
    for _ in range(5):
        await overloaded.bear(400, 30)
        assert limiting.limit <= 30
        assert overloaded.answered >= 0.95 * 200 * 30


async def test_one_that_begins_in_an_overload_finds_out() -> None:
    overloaded, limiting = server()
    await overloaded.bear(400, 60)
    assert 4 <= limiting.limit <= 30
    await overloaded.bear(400, 10)
    assert overloaded.answered >= 0.9 * 200 * 10


async def test_it_rises_again_when_the_server_has_become_stronger() -> None:
    growing, limiting = server()
    await growing.bear(100, 10)
    await growing.bear(400, 20)
    assert limiting.limit <= 30
    growing._free += [0.0] * 30
    await growing.bear(700, 20)
    await growing.bear(700, 10)
    assert 30 <= limiting.limit <= 120
    assert growing.answered >= 0.95 * 700 * 10


async def test_a_server_that_has_become_slower_for_good_is_used_for_what_it_can_do() -> None:
    slower, limiting = server()
    await slower.bear(100, 10)
    slower.work = 0.25  # forty a second
    await slower.bear(60, 300)
    await slower.bear(60, 60)
    assert slower.answered >= 0.9 * 40 * 60
    assert 10 <= limiting.limit <= 40


async def test_a_server_that_takes_longer_for_good_and_as_many_at_once_as_before_is_found_out_within_a_minute() -> None:
    distant, limiting = server(workers=200, work=0.02)
    await distant.bear(300, 10)
    distant.work = 0.2
    await distant.bear(300, 60)
    assert distant.refused  # because it may as well have been a queue
    await distant.bear(300, 10)
    assert limiting.limit >= 60
    assert distant.answered >= 0.9 * 300 * 10


async def test_without_an_overload_nothing_is_refused_however_full_it_is() -> None:
    busy, limiting = server(60, workers=200, most=60)
    await busy.bear(700, 5)  # 35 at once, as long as they take no longer than usual
    await busy.bear(700, 30)
    assert limiting.limit == 60
    assert busy.refused <= 0.001 * busy.answered


async def test_it_stays_where_it_began_as_long_as_it_is_not_used() -> None:
    idle, limiting = server(limit=20)
    await idle.bear(20, 120)
    assert limiting.limit == 20


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 60)), max_size=60),
    st.integers(1, 10),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_whatever_answers_take_it_keeps_within_its_bounds(
    story: list[tuple[float, int]], least: int, begin: int, most: int
) -> None:
    begin += least
    most += begin
    limiting = bulkhead("shop", BulkheadSettings(adaptive=True, limit=begin, least=least, most=most))
    for ran, times in story:
        for _ in range(times):
            limiting.answered(ran)
            assert least <= limiting.limit <= most
