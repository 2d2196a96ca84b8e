"""Who gets the calls where there are many instances, and some of them are slow, fail, hang, are new, or far away."""

import sys
from collections.abc import Callable, Sequence
from random import Random
from types import FrameType
from typing import Any

import pytest

from bff_core.upstream_settings import EjectionSettings
from tests.simulations.choosers import NO_EJECTION, Ours, members
from tests.simulations.many_instances import (
    WELL,
    Machine,
    Played,
    Trouble,
    Work,
    arrivals,
    exponential,
    lognormal,
    play,
)

EJECTION = EjectionSettings()
USUAL = lognormal(0.01)
EJECTIONS = pytest.mark.parametrize("ejection", [EJECTION, NO_EJECTION], ids=["ejection", "no ejection"])
ZONES = ("a", "b", "c")


def machines(count: int, *first: Trouble, workers: int = 0) -> list[Machine]:
    """Of which the first ones are in trouble."""
    return [Machine(trouble, workers=workers) for trouble in (*first, *[WELL] * (count - len(first)))]


def part(played: Played, number: int, start: float, end: float) -> float:
    """What it got from ``start`` to ``end``, where 1 is as much as all others got."""
    calls = played.calls(start, end)
    return calls[number] * len(played.calls()) / calls.total()


@EJECTIONS
@pytest.mark.parametrize("work", [USUAL, exponential(0.01)], ids=["lognormal", "exponential"])
@pytest.mark.parametrize("rate", [5, 50])
@pytest.mark.parametrize(("count", "each"), [(10, 1000), (100, 200), (1000, 60)])
def test_who_is_slow_or_fails_fast_gets_next_to_nothing(
    count: int, each: int, rate: int, work: Work, ejection: EjectionSettings
) -> None:
    most = 0.2 if ejection is NO_EJECTION else 0.1
    both = machines(count, Trouble("slow"), Trouble("fails"))
    played = play([Ours(count, ejection)], both, arrivals(count * rate, count * each, work))

    assert played.share(0, of=count, after=20 * count) <= most
    assert played.share(1, of=count, after=20 * count) <= most


@pytest.mark.parametrize("work", [USUAL, exponential(0.01)], ids=["lognormal", "exponential"])
@pytest.mark.parametrize("rate", [1, 50, 200])
@pytest.mark.parametrize("count", [2, 10, 100])
def test_equals_get_about_as_much_as_each_other(count: int, rate: int, work: Work) -> None:
    played = play([Ours(count)], machines(count), arrivals(count * rate, count * 1000, work))

    assert max(played.calls().values()) < 1.3 * 1000


def test_a_thousand_equals_do_so_too() -> None:
    """A million calls: some five seconds."""
    played = play([Ours(1000)], machines(1000), arrivals(5000, 10**6, USUAL))

    assert max(played.calls().values()) < 1.3 * 1000


@EJECTIONS
@pytest.mark.parametrize("troubles", [[], [Trouble("slow"), Trouble("fails")]], ids=["all well", "some not"])
def test_to_pick_one_of_a_thousand_takes_no_more_steps_than_one_of_ten(
    troubles: Sequence[Trouble], ejection: EjectionSettings
) -> None:
    few, many = (mean_steps(count, troubles, ejection) for count in (10, 1000))

    assert many < 1.1 * few


def mean_steps(count: int, troubles: Sequence[Trouble], ejection: EjectionSettings) -> float:
    """Of the interpreter, for one of many picks, between two looks at all of them."""
    ours = Ours(count, ejection)
    play([ours], machines(count, *troubles), arrivals(count * 50, count * 30, USUAL))
    now = count * 30 / (count * 50) + 0.001
    ours.pick(now)  # which may look at all of them
    return steps(lambda: [ours.pick(now) for _ in range(1000)]) / 1000


def steps(work: Callable[[], object]) -> int:
    taken = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal taken
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        taken += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return taken


@EJECTIONS
@pytest.mark.parametrize("rate", [10, 100, 1000])
def test_one_of_three_that_fails_in_no_time_gets_no_more_than_one_in_twenty(
    rate: float, ejection: EjectionSettings
) -> None:
    played = play([Ours(3, ejection)], machines(3, Trouble("fails")), arrivals(rate, 4000, USUAL))

    assert played.share(0, of=1, after=200) <= 0.05
    assert played.failed(0, 200 / rate) <= 12


@EJECTIONS
@pytest.mark.parametrize("failing", [1, 2, 3])
def test_however_many_of_three_fail_there_is_always_one_to_ask(failing: int, ejection: EjectionSettings) -> None:
    ours = Ours(3, ejection)
    played = play([ours], machines(3, *[Trouble("fails", 5, 20)] * failing), arrivals(100, 20_000, USUAL))

    assert len(played.numbers) == 20_000
    assert (played.failed(5, 20) > 1400) == (failing == 3)
    assert played.failed(20.1) == 0
    late = played.calls(150)
    assert min(late[number] for number in range(3)) > 0.8 * late.total() / 3


@EJECTIONS
@pytest.mark.parametrize("rate", [5, 50])
@pytest.mark.parametrize("count", [3, 10])
def test_what_hangs_costs_a_call_in_ten_seconds(count: int, rate: int, ejection: EjectionSettings) -> None:
    hanging = machines(count, Trouble("hangs", 10))
    played = play([Ours(count, ejection)], hanging, arrivals(count * rate, count * rate * 70, USUAL))

    assert 1 <= played.failed(10, 10.6) <= 5  # who comes before the first has timed out
    assert played.failed(10.6) <= 6


def test_what_hangs_from_the_start_is_not_asked_again_before_it_has_answered() -> None:
    played = play([Ours(10)], machines(10, Trouble("hangs"), workers=4), arrivals(1200, 600, lognormal(0.02)))

    assert played.failed() <= 5


@pytest.mark.parametrize("rate", [5, 50, 200])
@pytest.mark.parametrize("count", [3, 10])
def test_who_was_slow_for_a_while_is_used_again_within_half_a_minute(count: int, rate: int) -> None:
    for_a_while = machines(count, Trouble("slow", 10, 30))
    played = play([Ours(count)], for_a_while, arrivals(count * rate, count * rate * 90, USUAL))

    assert part(played, 0, 12, 30) < 0.1
    assert part(played, 0, 45, 55) > 0.4
    assert part(played, 0, 60, 90) > 0.75


@pytest.mark.parametrize("rate", [50, 150])
def test_who_joins_nine_that_are_busy_is_not_flooded_and_has_its_share_after_the_slow_start(rate: int) -> None:
    def joined(slow_start: float) -> Played:
        ours = Ours(9, slow_start=slow_start)
        joins = [(20.0, lambda: ours.balancer.update(members(10), 20.0))]
        calls = arrivals(10 * rate, 10 * rate * 60, lognormal(0.02))
        return play([ours], machines(10, workers=4), calls, events=joins)

    at_once, slowly = joined(0.0), joined(10.0)

    assert all(part(at_once, 9, second, second + 1) < 1.25 for second in range(20, 25))
    assert part(slowly, 9, 20, 21) < 0.25
    assert 0.3 < part(slowly, 9, 23, 27) < 0.7
    assert part(slowly, 9, 31, 60) == pytest.approx(1, abs=0.15)


def by_zone(played: Played, start: float, end: float) -> list[float]:
    """What share each zone got."""
    calls = played.calls(start, end)
    return [
        sum(number for place, number in calls.items() if place % 3 == zone) / calls.total()
        for zone in range(len(ZONES))
    ]


@pytest.mark.parametrize(("lost", "here"), [(0, 1.0), (1, 1.0), (2, 0.2)])
def test_calls_stay_in_the_zone_while_seven_in_ten_of_it_are_well_and_else_go_everywhere(
    lost: int, here: float
) -> None:
    ours = Ours(members(12, ZONES), zone="a")

    def lose() -> None:
        for place in range(lost):
            ours.balancer.checked(members(12, ZONES)[3 * place].instance, 10.0, healthy=False)

    played = play([ours], machines(12), arrivals(1200, 24_000, USUAL), events=[(10.0, lose)])

    assert by_zone(played, 0, 10) == [1, 0, 0]
    assert by_zone(played, 10, 20)[0] == pytest.approx(here, abs=0.02)


def test_calls_leave_the_zone_too_where_those_that_fail_are_avoided_so_well_that_none_is_ejected() -> None:
    troubles = [Trouble("fails", 10) if place in {0, 3} else WELL for place in range(12)]
    ours = Ours(members(12, ZONES), NO_EJECTION, zone="a")
    played = play([ours], machines(12, *troubles), arrivals(1200, 36_000, USUAL))

    assert by_zone(played, 0, 10) == [1, 0, 0]
    assert by_zone(played, 21, 30)[0] < 0.3
    assert played.failed() < 20


@pytest.mark.parametrize("rate", [1, 20, 200, 1000])
@pytest.mark.parametrize("count", [2, 10])
def test_what_weighs_three_times_as_much_gets_about_three_times_as_much(count: int, rate: int) -> None:
    played = play([Ours(members(count, weights=(3, 1)))], machines(count), arrivals(count * rate, 3000 * count, USUAL))

    heavy = sum(calls for place, calls in played.calls().items() if place % 2 == 0)
    assert heavy / (3000 * count) == pytest.approx(0.75, abs=0.04)


@pytest.mark.parametrize("unlucky", [0.0003, 0.001])
def test_a_failure_now_and_then_wherever_a_call_goes_keeps_nobody_from_doing_its_share(unlucky: float) -> None:
    calls = arrivals(1600, 32_000, lognormal(0.02), unlucky=unlucky)  # of 2,000 that they can do
    played = play([Ours(10)], machines(10, workers=4), calls)

    took = played.answered()
    assert took[int(len(took) * 0.99)] < 0.07
    assert max(played.calls().values()) < 1.3 * 3200


def test_an_answer_that_takes_long_now_and_then_keeps_nobody_from_doing_its_share() -> None:
    usual = lognormal(0.018)

    def now_and_then(chance: Random) -> float:
        return 0.45 if chance.random() < 0.001 else usual(chance)

    played = play([Ours(10)], machines(10, workers=4), arrivals(1600, 32_000, now_and_then))

    took = played.answered()
    assert took[int(len(took) * 0.99)] < 0.08


@EJECTIONS
@pytest.mark.parametrize("count", [1, 3])
def test_where_all_fail_for_long_and_then_none_does_all_is_well_at_once(count: int, ejection: EjectionSettings) -> None:
    all_of_them = machines(count, *[Trouble("fails", 5, 65)] * count)
    played = play([Ours(count, ejection)], all_of_them, arrivals(100 * count, 8000 * count, USUAL))

    assert played.failed() == pytest.approx(6000 * count, rel=0.05)
    assert played.failed(65.1) == 0


def test_where_checks_say_that_all_are_ill_all_are_asked() -> None:
    ours = Ours(3)

    def doubt() -> None:
        for member in members(3):
            ours.balancer.checked(member.instance, 5.0, healthy=False)

    played = play([ours], machines(3), arrivals(100, 2000, USUAL), events=[(5.0, doubt)])

    assert ours.balancer.panic
    assert min(played.calls(5.0).values()) > 400
