"""Leaving an instance alone because it fails where others do not: when, for how long, and how many at once."""

import random
from itertools import pairwise
from math import inf
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff_core.upstream.balance import Balancer
from bff_core.upstream.outlier import Outliers
from bff_core.upstream.standing import Standing
from bff_core.upstream.verdict import Verdict
from bff_core.upstream_settings import EjectionSettings
from bff_core.wire import Instance
from tests.bff_core.test_upstream_balance import Traffic, among, fail, instance, known, members, name_of, picks, states

ROUND = 10.0  # seconds from one review to the next


def answer(standing: Standing, now: float, times: int = 1) -> None:
    for _ in range(times):
        standing.in_flight += 1
        standing.answered(0.01, now)


def ejected(balancer: Balancer, now: float) -> set[str]:
    return {name for name, state in states(balancer, now).items() if state == "ejected"}


def back_at(standing: Standing, now: float) -> float:
    return standing.back_at - now


# failures in a row


def test_five_failures_in_a_row_and_it_is_left_alone() -> None:
    balancer = among(members("abc"))
    everyone = known(balancer)
    fail(balancer, everyone["a"], 0.0, 4)
    assert ejected(balancer, 0.0) == set()
    fail(balancer, everyone["a"], 0.0)
    assert ejected(balancer, 0.0) == {"a"}
    assert set(picks(balancer, 500, 0.0)) == set("bc")


def test_one_answer_among_them_and_it_is_not() -> None:
    balancer = among(members("abc"))
    one = known(balancer)["a"]
    for _ in range(10):
        fail(balancer, one, 0.0, 4)
        answer(one, 0.0)
    assert ejected(balancer, 0.0) == set()


@pytest.mark.parametrize(
    ("verdict", "counts"), [(Verdict.LASTING, True), (Verdict.THROTTLED, False), (Verdict.OURS, False)]
)
def test_what_counts_as_no_failure_neither_counts_here_nor_ends_the_row(verdict: Verdict, counts: bool) -> None:
    balancer = among(members("abc"))
    one = known(balancer)["a"]
    fail(balancer, one, 0.0, 4)
    fail(balancer, one, 0.0, 1, verdict)
    assert ejected(balancer, 0.0) == ({"a"} if counts else set())
    fail(balancer, one, 0.0)
    assert ejected(balancer, 0.0) == {"a"}


def test_how_many_in_a_row_can_be_set() -> None:
    balancer = among(members("abc"), failures=2)
    fail(balancer, known(balancer)["a"], 0.0, 2)
    assert ejected(balancer, 0.0) == {"a"}


def test_that_it_is_left_alone_is_logged_once_with_how_long_and_why(caplog: pytest.LogCaptureFixture) -> None:
    balancer = among(members("abc"))
    one = known(balancer)["a"]
    fail(balancer, one, 0.0, 20)
    (said,) = caplog.messages
    rest = f"{one.back_at:.0f}"
    assert said == f"shop: http://a.test:80 is left alone for {rest} s: 5 failures in a row"


# for how long


def test_each_time_is_longer_until_it_is_five_minutes() -> None:
    balancer, now = among(members("abc")), 0.0
    one = known(balancer)["a"]
    rests = []
    for _ in range(12):
        fail(balancer, one, now, 5)
        rests.append(back_at(one, now))
        now = one.back_at
    for rest, usual in zip(rests, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300], strict=True):
        assert 0.9 * usual <= rest <= 1.1 * usual
    assert one.ejections == 12


def test_what_failed_together_does_not_come_back_together() -> None:
    rests = []
    for _ in range(400):
        balancer = among(members("ab"))
        one = known(balancer)["a"]
        fail(balancer, one, 0.0, 5)
        rests.append(one.back_at)
    assert 27.0 <= min(rests) < 27.6
    assert 32.4 < max(rests) <= 33.0
    assert mean(rests) == pytest.approx(30.0, rel=0.02)


def test_how_long_can_be_set() -> None:
    balancer, now = among(members("abc"), rest="1s", longest="1500ms"), 0.0
    one = known(balancer)["a"]
    for usual in (1.0, 1.5, 1.5):
        fail(balancer, one, now, 5)
        assert 0.9 * usual <= back_at(one, now) <= 1.1 * usual
        now = one.back_at


def test_it_is_forgiven_once_every_ten_seconds_that_it_does_well() -> None:
    balancer, now = among(members("abc")), 0.0
    one = known(balancer)["a"]
    for _ in range(5):
        fail(balancer, one, now, 5)
        now = one.back_at
    for _ in range(3 * 10):
        now += 1.0
        picks(balancer, 1, now)
    assert one.times in {2, 3}
    fail(balancer, one, now, 5)
    assert 3 * 27 <= back_at(one, now) <= 4 * 33


def test_it_is_not_forgiven_while_it_is_left_alone() -> None:
    balancer = among(members("abc"))
    one = known(balancer)["a"]
    fail(balancer, one, 0.0, 5)
    for second in range(27):
        picks(balancer, 1, second)
    assert one.times == 1


@pytest.mark.parametrize(("pause", "times"), [(20.0, 2), (3600.0, 0)])
def test_it_is_forgiven_too_when_nobody_calls(pause: float, times: int) -> None:
    balancer, now = among(members("abc")), 0.0
    one = known(balancer)["a"]
    for _ in range(4):
        fail(balancer, one, now, 5)
        now = one.back_at
        picks(balancer, 1, now)
    now += pause
    picks(balancer, 1, now)
    assert one.times == times


def test_it_comes_back_and_what_it_was_given_before_that_counts_no_more() -> None:
    balancer = among(members("abc"))
    one = known(balancer)["a"]
    fail(balancer, one, 0.0, 100)  # all in flight when it died
    now = one.back_at
    assert ejected(balancer, now - 0.001) == {"a"}
    assert ejected(balancer, now) == set()
    fail(balancer, one, now, 4)
    assert ejected(balancer, now) == set()
    fail(balancer, one, now)
    assert ejected(balancer, now) == {"a"}


def test_it_begins_anew_when_it_is_back() -> None:
    balancer = among(members("abc"))
    one = known(balancer)["a"]
    fail(balancer, one, 0.0, 5)
    now = one.back_at
    picks(balancer, 1, now)
    fail(balancer, one, now, 4)
    assert ejected(balancer, now) == set()


def test_a_review_does_not_prolong_it() -> None:
    balancer = among(members("abcdef"))
    everyone = known(balancer)
    for name in "abcde":
        answer(everyone[name], 5.0, 200)
    answer(everyone["f"], 5.0, 100)
    fail(balancer, everyone["f"], 5.0, 100)
    until = everyone["f"].back_at
    picks(balancer, 1, ROUND)
    assert (everyone["f"].back_at, everyone["f"].ejections) == (until, 1)


def test_it_is_asked_again_when_it_is_back() -> None:
    random.seed(1)
    traffic = Traffic(among(members("abc")), lambda name, now: -0.2 if name == "a" and now < 5 else 0.05)
    traffic.bear(200, 20)
    assert traffic.bear(200, 5)["a"] == 0
    traffic.bear(200, 60)
    assert traffic.bear(200, 10)["a"] > 0.2 * 2000


# success rate


def rated(*rates: int, asked: int = 100, **ejection: float) -> tuple[Balancer, dict[str, Standing]]:
    """So many of so many calls in ten seconds were answered, never five failures in a row."""
    balancer = among(members("abcdefgh"[: len(rates)]), **ejection)
    everyone = known(balancer)
    for name, rate in zip("abcdefgh", rates, strict=False):
        failures = [number * (asked - rate) // asked for number in range(asked + 1)]
        for before, after in pairwise(failures):
            (answer(everyone[name], 5.0) if before == after else fail(balancer, everyone[name], 5.0))
    picks(balancer, 1, ROUND)
    return balancer, everyone


@pytest.mark.parametrize(
    ("rates", "out"),
    [
        ((100, 100, 100, 100, 60), "e"),
        ((100, 60, 100, 100, 100), "b"),
        ((100, 100, 100, 60), ""),  # four are too few to compare
        ((60, 60, 60, 60, 60), ""),  # a bad day of all
        ((60, 61, 62, 61, 60), ""),
        ((100, 100, 100, 100, 98), ""),  # it stands out, and nobody minds
        ((100, 100, 100, 100, 97), "e"),
        ((100, 95, 90, 85, 80), ""),  # it is the worst, and does not stand out
        ((100, 100, 100, 100, 100, 100, 60, 60), ""),  # two of eight are 1.7 deviations below
    ],
)
def test_who_fails_far_more_often_than_the_others_is_left_alone(rates: tuple[int, ...], out: str) -> None:
    balancer, _ = rated(*rates)
    assert ejected(balancer, ROUND) == set(out)


def test_how_far_can_be_set_and_worst_come_first_where_not_all_may_go() -> None:
    rates = (100, 100, 100, 100, 100, 100, 60, 50)
    assert ejected(rated(*rates, deviations=1.2)[0], ROUND) == {"g", "h"}
    assert ejected(rated(*rates, deviations=1.2, share=0.2)[0], ROUND) == {"h"}
    assert ejected(rated(*rates, deviations=1.2, share=0.0)[0], ROUND) == set()


def test_it_takes_a_hundred_calls_of_five_instances() -> None:
    assert ejected(rated(99, 99, 99, 99, 59, asked=99)[0], ROUND) == set()
    assert ejected(rated(99, 99, 99, 99, 59, asked=99, calls=99)[0], ROUND) == {"e"}


def test_four_are_never_compared_however_little_far_is() -> None:
    assert ejected(rated(100, 100, 100, 60, deviations=1.0)[0], ROUND) == set()
    assert ejected(rated(100, 100, 100, 100, 60, deviations=1.0)[0], ROUND) == {"e"}


def test_calls_of_several_rounds_do_not_add_up() -> None:
    balancer, now = among(members("abcde")), 0.0
    everyone = known(balancer)
    for _ in range(5):
        for name in "abcd":
            answer(everyone[name], now, 60)
        for _ in range(30):
            fail(balancer, everyone["e"], now)
            answer(everyone["e"], now)
        now += ROUND
        picks(balancer, 1, now)
        assert ejected(balancer, now) == set()


def test_who_gets_too_few_calls_is_not_compared() -> None:
    balancer = among(members("abcdef"))
    everyone = known(balancer)
    for name in "abcde":
        answer(everyone[name], 5.0, 100)
    for _ in range(30):
        answer(everyone["f"], 5.0, 1)
        fail(balancer, everyone["f"], 5.0, 2)
    picks(balancer, 1, ROUND)
    assert ejected(balancer, ROUND) == set()


def test_only_calls_since_the_last_review_count() -> None:
    balancer, everyone = rated(100, 100, 100, 100, 98)
    now = ROUND
    for _ in range(5):
        for name in "abcd":
            answer(everyone[name], now, 100)
        answer(everyone["e"], now, 98)
        fail(balancer, everyone["e"], now, 2)
        now += ROUND
        picks(balancer, 1, now)
    assert ejected(balancer, now) == set()
    for name in "abcd":
        answer(everyone[name], now, 100)
    for _ in range(60):
        fail(balancer, everyone["e"], now)
        answer(everyone["e"], now)
    now += ROUND - 0.1
    picks(balancer, 1, now)
    assert ejected(balancer, now) == set()
    now += 0.2
    picks(balancer, 1, now)
    assert ejected(balancer, now) == {"e"}


def test_that_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    rated(100, 100, 100, 100, 60)
    (said,) = caplog.messages
    assert said.startswith("shop: http://e.test:80 is left alone for ")
    assert said.endswith(" s: it fails more often than the others")


# how many at once


@pytest.mark.parametrize(
    ("share", "most"),
    [
        (0.5, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]),
        (1.0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (0.1, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        (0.0, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_at_most_half_are_left_alone_of_two_one_and_never_the_last(share: float, most: list[int]) -> None:
    outliers = Outliers(EjectionSettings(share=share))
    assert [outliers.most(count) for count in range(1, 11)] == most


@given(share=st.integers(0, 100), count=st.integers(1, 1000))
def test_a_share_is_rounded_down_and_no_further(share: int, count: int) -> None:
    assert Outliers(EjectionSettings(share=share / 100)).most(count) == min(share * count // 100, count - 1)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_where_all_fail_half_are_left_alone_and_the_others_go_on(count: int) -> None:
    names = "abcdefgh"[:count]
    balancer = among(members(names))
    everyone = known(balancer)
    for _ in range(10):
        for standing in everyone.values():
            fail(balancer, standing, 0.0)
    assert len(ejected(balancer, 0.0)) == count // 2
    assert not balancer.panic
    assert set(picks(balancer, 500, 0.0)) == set(names) - ejected(balancer, 0.0)


def test_who_had_to_stay_is_left_alone_when_another_is_back() -> None:
    balancer = among(members("ab"))
    everyone = known(balancer)
    fail(balancer, everyone["a"], 0.0, 5)
    fail(balancer, everyone["b"], 0.0, 50)
    assert ejected(balancer, 0.0) == {"a"}
    now = everyone["a"].back_at
    picks(balancer, 1, now)
    fail(balancer, everyone["b"], now)
    assert ejected(balancer, now) == {"b"}


def test_the_only_instance_is_never_left_alone_whatever_it_does() -> None:
    balancer = among(members("a"), share=1.0)
    (only,) = known(balancer).values()
    fail(balancer, only, 0.0, 1000)
    assert (only.ejections, only.back_at) == (0, -inf)
    assert balancer.pick(0.0) is only


def test_where_those_that_were_well_have_gone_what_is_left_alone_is_asked_all_the_same() -> None:
    balancer = among(members("abcd"))
    everyone = known(balancer)
    for name in "ab":
        fail(balancer, everyone[name], 0.0, 5)
    balancer.update(members("ab"), 1.0)
    assert ejected(balancer, 1.0) == {"a", "b"}
    assert balancer.panic
    assert set(picks(balancer, 500, 1.0)) == {"a", "b"}


def test_what_is_left_alone_stays_so_when_it_goes_and_comes_back_while_it_drains() -> None:
    balancer = among(members("abc"))
    one = known(balancer)["a"]
    fail(balancer, one, 0.0, 5)
    one.in_flight += 1
    balancer.update(members("bc"), 1.0)
    balancer.update(members("abc"), 2.0)
    assert ejected(balancer, 2.0) == {"a"}


def test_only_those_who_are_known_can_be_left_alone() -> None:
    stranger = Standing(Instance("shop", "http", "z.test", 80), joined_at=0.0, now=0.0)
    balancer = among(members("abc"))
    fail(balancer, stranger, 0.0, 10)
    assert stranger.ejections == 0
    assert name_of(balancer.pick(0.0)) in "abc"
    assert instance("z") not in balancer.instances
