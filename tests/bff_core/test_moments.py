"""Moments call back in time, never early, and cost one timer for all that share a slot."""

import asyncio
import math
from math import inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bff_core.moments import Moments
from bff_core.testing import VirtualTimeLoop, run

SLOT = 0.005


def now() -> float:
    return asyncio.get_running_loop().time()


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), max_size=20))
@example([(0.0, 0.0)])
@example([(0.005, 0.0)])
@example([(0.1 + 0.2, 0.0)])
def test_whoever_asks_is_called_once_at_most_a_slot_late_and_never_early(wanted: list[tuple[float, float]]) -> None:
    """Each asks at one moment to be called so many seconds later."""
    called: list[tuple[float, float]] = []

    async def all_of_them() -> None:
        moments = Moments(asyncio.get_running_loop())
        for asks_at, seconds in sorted(wanted):
            await asyncio.sleep(asks_at - now())
            when = now() + seconds
            moments.at(when, lambda when=when: called.append((when, now())))
        await asyncio.sleep(10)

    run(all_of_them())
    assert len(called) == len(wanted)
    for when, moment in called:
        assert when <= moment <= when + SLOT + 1e-9


class Counting(VirtualTimeLoop):
    timers = 0

    def call_at(self, *args, **kwargs):
        self.timers += 1
        return super().call_at(*args, **kwargs)


def test_a_slot_costs_one_timer_however_many_wait() -> None:
    called: list[int] = []

    async def many(loop: Counting) -> None:
        moments = Moments(loop)
        for number in range(1000):
            moments.at(1.001, lambda number=number: called.append(number))
        assert loop.timers == 1
        await asyncio.sleep(2)

    with asyncio.Runner(loop_factory=Counting) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, Counting)
        runner.run(many(loop))
    assert called == list(range(1000))


async def test_a_moment_that_is_past_is_called_with_the_next_slot() -> None:
    called = []
    moments = Moments(asyncio.get_running_loop())
    await asyncio.sleep(1)
    moments.at(0.5, lambda: called.append(now()))
    assert called == []
    await asyncio.sleep(SLOT)
    assert called == [pytest.approx(1, abs=SLOT)]


async def test_who_is_called_may_ask_again() -> None:
    called = []
    moments = Moments(asyncio.get_running_loop())

    def again() -> None:
        called.append(now())
        if len(called) < 3:
            moments.at(now(), again)

    moments.at(0.0, again)
    await asyncio.sleep(1)
    assert called == [pytest.approx(SLOT * place) for place in (1, 2, 3)]


async def test_one_that_fails_takes_nothing_from_the_others() -> None:
    called, complaints = [], []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context["exception"]))
    moments = Moments(loop)
    moments.at(0.1, lambda: called.append(1))
    moments.at(0.1, lambda: 1 // 0)
    moments.at(0.1, lambda: called.append(2))
    moments.at(0.2, lambda: called.append(3))
    await asyncio.sleep(1)
    assert called == [1, 2, 3]
    assert [type(one) for one in complaints] == [ZeroDivisionError]


async def test_nothing_is_kept_of_what_was_called() -> None:
    moments = Moments(asyncio.get_running_loop())
    for tenth in range(10):
        moments.at(tenth / 10, list)
    await asyncio.sleep(2)
    assert not moments._slots
    assert math.isfinite(now())


async def test_a_moment_that_never_comes_is_never_called() -> None:
    Moments(asyncio.get_running_loop()).at(inf, lambda: pytest.fail("it came"))
    await asyncio.sleep(1e6)
