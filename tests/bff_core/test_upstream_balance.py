"""Which instance gets the next attempt: whatever happens in whatever order, and rule by rule."""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from math import exp, inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bff_core.discovery import Member
from bff_core.errors import NoInstance, Reason
from bff_core.upstream.balance import Balancer
from bff_core.upstream.standing import Standing, State
from bff_core.upstream.verdict import Verdict, judge
from bff_core.upstream_settings import EjectionSettings
from bff_core.wire import Instance


def instance(name: str) -> Instance:
    return Instance("shop", "http", f"{name}.test", 80)


def members(names: Iterable[str], *, zone: str = "", weight: float = 1.0) -> list[Member]:
    return [Member(instance(name), zone, weight) for name in names]


def among(found: Iterable[Member], *, zone: str = "", slow_start: float = 0.0, **ejection: float) -> Balancer:
    """A balancer that knows these from the first."""
    balancer = Balancer("shop", EjectionSettings(**ejection), zone=zone, slow_start=slow_start)
    balancer.update(list(found), 0.0)
    return balancer


def name_of(standing: Standing) -> str:
    return standing.instance.host.partition(".")[0]


def states(balancer: Balancer, now: float) -> dict[str, str]:
    return {fact["address"].removeprefix("http://")[0]: fact["state"] for fact in balancer.facts(now)}


def picks(balancer: Balancer, number: int, now: float, *tried: Standing) -> Counter[str]:
    """Who gets each of so many calls, none of which takes any time."""
    found: Counter[str] = Counter()
    for _ in range(number):
        standing = balancer.pick(now, tried)
        found[name_of(standing)] += 1
        standing.in_flight -= 1
    return found


def known(balancer: Balancer, now: float = 0.0) -> dict[str, Standing]:
    """Each by its name; looked at long enough to have met everyone who gets calls."""
    found = {}
    for _ in range(400):
        standing = balancer.pick(now)
        standing.in_flight -= 1
        found[name_of(standing)] = standing
    return found


def fail(
    balancer: Balancer, standing: Standing, now: float, times: int = 1, verdict: Verdict = Verdict.FAILURE
) -> None:
    for _ in range(times):
        standing.in_flight += 1
        balancer.failed(standing, verdict, 0.001, now, None)


class Traffic:
    """Calls at an even rate, each answered, or failed where ``takes`` gives less than nothing, after its time."""

    def __init__(self, balancer: Balancer, takes: Callable[[str, float], float]) -> None:
        self._balancer, self._takes = balancer, takes
        self._under_way: list[tuple[float, int, Standing, float]] = []
        self._numbers = count()
        self.now = 0.0

    def bear(self, rate: float, seconds: float) -> Counter[str]:
        """Who got how many."""
        found: Counter[str] = Counter()
        until = self.now + seconds
        while (self.now + 1 / rate) < until:
            self.now += 1 / rate
            self._end_until(self.now)
            standing = self._balancer.pick(self.now)
            takes = self._takes(name_of(standing), self.now)
            heappush(self._under_way, (self.now + abs(takes), next(self._numbers), standing, takes))
            found[name_of(standing)] += 1
        self.now = until
        return found

    def _end_until(self, now: float) -> None:
        while self._under_way and self._under_way[0][0] <= now:
            at, _, standing, takes = heappop(self._under_way)
            if takes < 0:
                self._balancer.failed(standing, Verdict.FAILURE, -takes, at, None)
            else:
                standing.answered(takes, at)


# whatever happens

NAMES = "abcdefgh"
ZONES = ("near", "far", "")
FOUND = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(ZONES), st.sampled_from([1.0, 1.0, 1.0, 3.0, 0.1])),
    unique_by=lambda found: found[0],
    max_size=len(NAMES),
)
PAUSES = st.sampled_from([0.0, 0.001, 0.1, 1.0, 5.0, 10.0, 31.0, 300.0, 7200.0])
SOON_EJECTED = EjectionSettings(failures=3, calls=20)
LONGEST = 1.1 * SOON_EJECTED.longest


class WhateverHappens(RuleBasedStateMachine):
    """Members come, go and come back, calls are under way meanwhile, and time passes, sometimes by hours."""

    @initialize(zone=st.sampled_from(ZONES), slow_start=st.sampled_from([0.0, 0.5, 10.0]), found=FOUND)
    def begin(self, zone: str, slow_start: float, found: list[tuple[str, str, float]]) -> None:
        self.now, self.zone = 0.0, zone
        self.balancer = Balancer("shop", SOON_EJECTED, zone=zone, slow_start=slow_start)
        self.members: dict[Instance, Member] = {}  # as they are now
        self.unhealthy: set[Instance] = set()
        self.under_way: list[tuple[Standing, float]] = []
        self.met: dict[Instance, Standing] = {}
        self.doubted = False
        """Who must be the same when we meet again."""
        self.ejected: set[Instance] = set()
        self.update(found)

    @rule(found=FOUND)
    def update(self, found: list[tuple[str, str, float]]) -> None:
        before, remembered = self.members, self._remembered()
        self.met = {known: standing for known, standing in self.met.items() if known in remembered}
        self.unhealthy &= remembered
        self.members = {instance(name): Member(instance(name), zone, weight) for name, zone, weight in found}
        gone = self.balancer.update(list(self.members.values()), self.now)
        assert sorted(gone) == sorted(set(before) - set(self.members))
        self.ejected = self._ejected()

    @rule(moves=st.lists(st.sampled_from(NAMES), min_size=1, max_size=2))
    def come_or_go(self, moves: list[str]) -> None:
        found = {name_.host[0]: (name_.host[0], member.zone, member.weight) for name_, member in self.members.items()}
        for move in moves:
            if found.pop(move, None) is None:
                found[move] = (move, "near", 1.0)
        self.update(list(found.values()))

    @rule(times=st.integers(1, 10), again=st.booleans())
    def pick(self, times: int, again: bool) -> None:
        tried = (self.under_way[-1][0],) if again and self.under_way else ()
        for _ in range(times):
            if not self.members:
                with pytest.raises(NoInstance):
                    self.balancer.pick(self.now, tried)
                return
            standing = self.balancer.pick(self.now, tried)
            self._see_what_was_ejected()
            candidates = self._candidates()
            assert standing.instance in candidates or candidates <= {one.instance for one in tried}
            assert standing not in tried or len(candidates | self._well()) == 1 or self._doubtful()
            assert self.met.setdefault(standing.instance, standing) is standing
            assert (standing.zone, standing.weight) == self.members[standing.instance][1:]
            self.under_way.append((standing, self.now))

    @precondition(lambda self: self.under_way)
    @rule(which=st.lists(st.integers(0, 100), min_size=1, max_size=10))
    def answer(self, which: list[int]) -> None:
        for standing, since in self._some(which):
            standing.answered(self.now - since, self.now)

    @precondition(lambda self: self.under_way)
    @rule(
        which=st.lists(st.integers(0, 100), min_size=1, max_size=10),
        verdict=st.sampled_from([verdict for verdict in Verdict if verdict is not Verdict.SUCCESS]),
        asked_for=st.sampled_from([None, None, 0.0, 1.0, 86400.0]),
    )
    def fail(self, which: list[int], verdict: Verdict, asked_for: float | None) -> None:
        for standing, since in self._some(which):
            self.balancer.failed(standing, verdict, self.now - since, self.now, asked_for)
            self._see_what_was_ejected()

    @precondition(lambda self: self.members)
    @rule(name=st.sampled_from(NAMES), verdict=st.sampled_from([Verdict.FAILURE, Verdict.LASTING]))
    def fail_again_and_again(self, name: str, verdict: Verdict) -> None:
        """One that is asked by so many at once that it fails as often in a row."""
        for _ in range(20):
            if self._candidates():
                self.pick(1, again=False)
                standing, since = self.under_way.pop()
                if standing.instance == instance(name):
                    self.balancer.failed(standing, verdict, self.now - since, self.now, None)
                else:
                    standing.answered(self.now - since, self.now)
                self._see_what_was_ejected()

    @rule(name=st.sampled_from(NAMES), healthy=st.booleans())
    def check(self, name: str, healthy: bool) -> None:
        self.balancer.checked(instance(name), self.now, healthy=healthy)
        if instance(name) in self.members:
            (self.unhealthy.discard if healthy else self.unhealthy.add)(instance(name))

    @rule(seconds=PAUSES)
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def everyone_has_in_flight_what_was_given_and_has_not_ended_and_nobody_else_is_remembered(self) -> None:
        found = {fact["address"]: fact["in_flight"] for fact in self.balancer.facts(self.now)}
        under_way = Counter(standing.instance for standing, _ in self.under_way)
        assert found == {str(known): under_way[known] for known in self._remembered()}
        assert all(standing.in_flight == under_way[standing.instance] for standing, _ in self.under_way)
        assert len(self.balancer._all) + len(self.balancer._draining) == len(found)

    @invariant()
    def what_operators_see_is_what_is_done(self) -> None:
        facts = self.balancer.facts(self.now)
        self._see_what_was_ejected()
        candidates = self._candidates()
        for fact in facts:
            found = Instance.parse("shop", fact["address"])
            if found not in self.members:
                expected = State.DRAINING
            elif found in self.unhealthy:
                expected = State.UNHEALTHY
            elif fact["back_in"] is not None:
                expected = State.EJECTED
            else:
                expected = State.IN_USE if found in candidates else State.ELSEWHERE
            assert fact["state"] == expected.value or (self._doubtful() and fact["state"] in {"in use", "elsewhere"})
        assert self.balancer.panic == (len(self._well()) < len(self.members) / 2)
        assert self.balancer.instances == tuple(self.members)

    @invariant()
    def what_is_left_alone_comes_back(self) -> None:
        assert all((fact["back_in"] or 0.0) <= LONGEST for fact in self.balancer.facts(self.now))

    @invariant()
    def a_load_is_a_number(self) -> None:
        assert all(0 < standing.load(self.now) < inf for standing in self.met.values())

    def _some(self, which: list[int]) -> list[tuple[Standing, float]]:
        return [self.under_way.pop(number % len(self.under_way)) for number in which if self.under_way]

    def _remembered(self) -> set[Instance]:
        return set(self.members) | {standing.instance for standing, _ in self.under_way}

    def _ejected(self) -> set[Instance]:
        facts = self.balancer.facts(self.now)
        found = {Instance.parse("shop", fact["address"]) for fact in facts if fact["back_in"] is not None}
        return found & set(self.members)

    def _see_what_was_ejected(self) -> None:
        before, self.ejected = self.ejected, self._ejected()
        if self.ejected - before:
            assert len(self.ejected) <= len(self.members) // 2  # of two one, and never the last

    def _well(self) -> set[Instance]:
        return set(self.members) - self.unhealthy - self._ejected()

    def _candidates(self) -> set[Instance]:
        well = self._well()
        if len(well) < len(self.members) / 2:
            return set(self.members)
        here = {known for known, member in self.members.items() if self.zone and member.zone == self.zone}
        return here & well if here and 10 * len(here & well) >= 7 * len(here) and not self._doubtful() else well

    def _doubtful(self) -> bool:
        """Somebody in our zone failed again and again: the others may be asked too, from one look to the next."""
        if self.zone and any(one.in_row > 1 for one in self.met.values()):
            self.doubted = True
        return self.doubted


TestWhateverHappens = WhateverHappens.TestCase
TestWhateverHappens.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


# how long one takes


def test_a_slower_answer_counts_half_as_much_again_at_once_and_faster_ones_little_by_little() -> None:
    standing = Standing(instance("a"), joined_at=0.0, now=0.0)
    standing.answered(1.0, 0.0)
    assert standing.latency(0.0) == 1.0
    standing.answered(0.1, 1.0)
    assert standing.latency(1.0) == pytest.approx(0.1 + 0.9 * exp(-0.1))
    standing.answered(2.0, 2.0)
    assert standing.latency(2.0) == pytest.approx(1.5 * (0.1 + 0.9 * exp(-0.1)))
    standing.answered(2.0, 2.0)
    assert standing.latency(2.0) == 2.0


def test_a_failure_counts_as_five_seconds_and_of_that_37_percent_are_left_after_ten() -> None:
    balancer = among(members("ab"))
    standing = balancer.pick(0.0)
    balancer.failed(standing, Verdict.FAILURE, 0.001, 0.0, None)
    assert standing.latency(0.0) == 5.0
    assert standing.latency(10.0) == pytest.approx(5.0 / exp(1))


@pytest.mark.parametrize("verdict", [Verdict.FAILURE, Verdict.LASTING, Verdict.THROTTLED])
@pytest.mark.parametrize(("asked_for", "ran", "counts"), [(1.0, 0.01, 1.0), (60.0, 0.01, 60.0), (1.0, 7.0, 7.0)])
def test_what_asks_for_time_counts_as_what_it_says_or_as_long_as_it_took(
    verdict: Verdict, asked_for: float, ran: float, counts: float
) -> None:
    balancer = among(members("ab"))
    standing = balancer.pick(0.0)
    balancer.failed(standing, verdict, ran, 10.0, asked_for)
    assert standing.latency(10.0) == counts


def test_a_cancelled_call_counts_the_time_it_took() -> None:
    balancer = among(members("ab"))
    standing = balancer.pick(0.0)
    balancer.failed(standing, Verdict.OURS, 0.3, 0.3, None)
    assert (standing.latency(0.3), standing.in_row, standing.failures, standing.in_flight) == (0.3, 0, 0, 0)


@given(
    answers=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 60)), max_size=10),
    ran=st.floats(0, 10),
    pause=st.floats(0, 60),
    verdict=st.sampled_from([verdict for verdict in Verdict if verdict is not Verdict.SUCCESS]),
)
def test_what_is_not_answered_never_makes_an_instance_look_faster(
    answers: list[tuple[float, float]], ran: float, pause: float, verdict: Verdict
) -> None:
    balancer, now = among(members("ab")), 0.0
    standing = balancer.pick(now)
    for took, seconds in answers:
        standing.in_flight += 1
        now += seconds
        standing.answered(took, now)
    now += pause
    before = standing.latency(now)
    balancer.failed(standing, verdict, ran, now, 0.0)
    assert standing.latency(now) >= min(max(before, ran), 1.5 * before)


def test_what_was_only_throttled_has_not_failed() -> None:
    balancer = among(members("ab"))
    standing = balancer.pick(0.0)
    fail(balancer, standing, 0.0, 100, Verdict.THROTTLED)
    assert (standing.failures, standing.in_row, standing.ejections) == (0, 0, 0)
    assert standing.latency(0.0) == 5.0


# who gets the call


def test_who_takes_longer_gets_less_and_who_has_much_to_do_too() -> None:
    balancer = among(members("ab"))
    slow, fast = balancer.pick(0.0), balancer.pick(0.0)
    assert {name_of(slow), name_of(fast)} == {"a", "b"}  # because the first one has something to do by then
    slow.answered(0.1, 0.1)
    fast.answered(0.01, 0.1)
    assert [balancer.pick(0.1) for _ in range(9)] == [fast] * 9
    assert {balancer.pick(0.1) for _ in range(2)} == {slow, fast}


def test_ten_that_take_as_long_get_as_many() -> None:
    random.seed(1)
    found = Traffic(among(members("abcdefghij")), lambda *_: 0.05).bear(1000, 10)
    assert min(found.values()) > 0.8 * 1000
    assert max(found.values()) < 1.2 * 1000


def test_one_that_takes_ten_times_as_long_gets_far_less_than_its_share() -> None:
    random.seed(1)
    found = Traffic(among(members("abcde")), lambda name, _: 0.5 if name == "a" else 0.05).bear(200, 20)
    assert 0 < found["a"] < 0.25 * found["b"]


def test_one_that_fails_fast_attracts_nothing() -> None:
    random.seed(1)
    found = Traffic(among(members("abc"), share=0.0), lambda name, _: -0.001 if name == "a" else 0.05).bear(200, 30)
    assert 0 < found["a"] <= 8  # of 6,000


def test_one_that_failed_once_is_asked_again_within_a_minute_or_so() -> None:
    random.seed(1)
    balancer = among(members("abc"))
    traffic = Traffic(balancer, lambda name, now: -0.001 if name == "a" and now < 1 else 0.05)
    assert traffic.bear(100, 20)["a"] <= 6
    assert traffic.bear(100, 60)["a"] > 0
    assert traffic.bear(100, 60)["a"] > 0.2 * 6000


def test_of_two_that_failed_the_better_one_is_no_choice_as_long_as_there_are_others() -> None:
    random.seed(1)
    balancer = among(members("abcdefghij"))
    everyone = known(balancer)
    for name in "ab":
        fail(balancer, everyone[name], 0.0)
    found = picks(balancer, 1000, 0.0)
    assert set(found) == set("cdefghij")
    assert min(found.values()) > 0.5 * 125


def test_of_more_than_four_it_looks_at_no_more_than_four_then() -> None:
    random.seed(1)
    balancer = among(members("abcdefghij"))
    everyone = known(balancer)
    for name in "abcdefghi":
        fail(balancer, everyone[name], 0.0)
    assert 0.3 * 1000 < picks(balancer, 1000, 0.0)["j"] < 0.5 * 1000  # which is 4 of 10


@pytest.mark.parametrize("weight", [1.0, 3.0])
@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize("names", ["ab", "abc", "abcdef"])
def test_another_attempt_goes_to_another_instance_however_bad_that_is(names: str, failed: bool, weight: float) -> None:
    balancer = among([*members("a", weight=weight), *members(names[1:])])
    everyone = known(balancer)
    for name in names[1:]:
        everyone[name].in_flight += 1000
        if failed:
            fail(balancer, everyone[name], 0.0)
    assert "a" not in picks(balancer, 200, 0.0, everyone["a"])


def test_where_there_is_no_other_it_is_the_same() -> None:
    balancer = among(members("a"))
    (only,) = known(balancer).values()
    assert balancer.pick(0.0, (only,)) is only


def test_of_three_the_third_attempt_goes_to_the_third_instance_and_a_fourth_not_where_the_last_one_was() -> None:
    balancer = among(members("abc"))
    everyone = known(balancer)
    everyone["c"].in_flight += 1000
    assert set(picks(balancer, 200, 0.0, everyone["a"], everyone["b"])) == {"c"}
    assert "b" not in picks(balancer, 200, 0.0, everyone["a"], everyone["c"], everyone["b"])


@pytest.mark.parametrize("names", ["abcde", "abcdefghij"])
def test_however_many_were_tried_it_is_another_one_as_long_as_there_is_one(names: str) -> None:
    balancer = among(members(names))
    tried: list[Standing] = []
    for _ in names:
        tried.append(balancer.pick(0.0, tried))
    assert len(set(tried)) == len(names)


def test_of_those_that_were_not_tried_it_looks_at_four_too() -> None:
    balancer = among(members("abcdef"))
    everyone = known(balancer)
    for place, name in enumerate("bcdef"):
        everyone[name].in_flight = place
    assert set(picks(balancer, 500, 0.0, everyone["a"])) == {"b", "c"}


@pytest.mark.parametrize("names", ["a", "ab"])
def test_where_all_in_the_zone_were_tried_another_attempt_leaves_it(names: str) -> None:
    balancer = among([*members(names, zone="here"), *members("cd", zone="there")], zone="here")
    everyone = known(balancer)
    assert set(everyone) == set(names)
    assert set(picks(balancer, 100, 0.0, *everyone.values())) == set("cd")
    balancer.checked(instance("c"), 0.0, healthy=False)
    assert set(picks(balancer, 100, 0.0, *everyone.values())) == {"d"}


def test_what_hung_is_no_choice_for_twice_as_long_and_what_refused_at_once_is() -> None:
    balancer = among(members("abc"))
    everyone = known(balancer)
    for standing in everyone.values():
        standing.in_flight += 1
        standing.answered(0.01, 0.0)
    for name, took in (("a", 0.5), ("b", 0.0)):
        everyone[name].in_flight += 1
        balancer.failed(everyone[name], Verdict.FAILURE, took, 1.0, None)
    everyone["c"].in_flight += 1000
    assert set(picks(balancer, 200, 1.9)) == {"b"}
    assert set(picks(balancer, 200, 2.1)) == {"a", "b"}


@pytest.mark.parametrize("before", ["", "ab"])
def test_where_nobody_knows_an_instance_the_call_is_refused_as_ours(before: str) -> None:
    balancer = among(members(before))
    balancer.update([], 0.0)
    with pytest.raises(NoInstance, match="shop") as refused:
        balancer.pick(0.0)
    assert (refused.value.status, refused.value.reason, refused.value.retry_after) == (503, Reason.UNAVAILABLE, 1.0)
    assert judge(refused.value) is Verdict.OURS
    assert not balancer.panic


# weights


@pytest.mark.parametrize("weights", [(3.0, 1.0), (1.0, 1.0, 0.1), (1.0, 2.0, 3.0, 4.0), (1000.0, 0.5, 0.5)])
def test_weights_hold_to_about_a_quarter(weights: tuple[float, ...]) -> None:
    random.seed(1)
    balancer = among(
        Member(instance(name), "", weight) for name, weight in zip("abcdefgh"[: len(weights)], weights, strict=True)
    )
    found = Traffic(balancer, lambda *_: 0.02).bear(500, 20)
    for name, weight in zip("abcdefgh", weights, strict=False):
        assert found[name] == pytest.approx(10_000 * weight / sum(weights), rel=0.25, abs=20)


def test_weights_hold_when_there_is_next_to_nothing_to_do() -> None:
    random.seed(1)
    found = picks(among([*members("a", weight=9.0), *members("bcdefghij")]), 9000, 0.0)
    assert found == pytest.approx({"a": 4500, **dict.fromkeys("bcdefghij", 500)}, rel=0.25)


def test_weights_hold_for_another_attempt_too() -> None:
    random.seed(1)
    weights = {"a": 5.0, "b": 2.0, "c": 1.0}
    balancer = among(Member(instance(name), "", weight) for name, weight in weights.items())
    first = known(balancer)["a"]
    found = Counter(name_of(balancer.pick(0.0, (first,))) for _ in range(300))  # all of them at once
    assert found == pytest.approx({"b": 200, "c": 100}, rel=0.1)


def test_weights_that_are_all_the_same_are_none() -> None:
    balancer = among(members("abc", weight=7.0))
    assert not balancer._shares
    assert {standing.relative for standing in known(balancer).values()} == {1.0}


def test_a_weight_does_not_help_who_has_three_times_as_much_to_do() -> None:
    random.seed(1)
    balancer = among([*members("a", weight=9.0), *members("b")])
    everyone = known(balancer)
    for standing in everyone.values():
        standing.in_flight += 1
        standing.answered(0.01, 0.0)
    everyone["a"].in_flight, everyone["b"].in_flight = 18, 2  # the same, for what each can do
    assert picks(balancer, 1000, 0.0)["a"] == pytest.approx(900, rel=0.05)
    everyone["a"].in_flight = 180
    assert picks(balancer, 1000, 0.0) == {"b": 1000}


def test_a_weight_and_a_zone_may_change_and_what_is_known_stays() -> None:
    random.seed(1)
    balancer = among(members("ab"), zone="here")
    before = known(balancer)
    balancer.update([Member(instance("a"), "here", 1.0), Member(instance("b"), "here", 5.0)], 1.0)
    assert known(balancer, 1.0) == before
    assert picks(balancer, 1200, 1.0)["a"] == pytest.approx(200, rel=0.25)
    balancer.update([Member(instance("a"), "here", 1.0), Member(instance("b"), "there", 5.0)], 2.0)
    assert picks(balancer, 100, 2.0) == {"a": 100}


# who comes and goes


def test_a_newcomer_is_taken_for_an_ordinary_one_and_is_not_flooded() -> None:
    random.seed(1)
    balancer = among(members("abcd"))
    traffic = Traffic(balancer, lambda name, _: {"a": 0.01, "b": 0.05, "c": 0.05}.get(name, 1.0))
    traffic.bear(100, 10)
    others = list(known(balancer, 10.0).values())
    balancer.update(members("abcde"), 10.0)
    newcomer = known(balancer, 10.0)["e"]
    usual = sorted(standing.latency(10.0) for standing in others)
    assert newcomer.latency(10.0) == pytest.approx((usual[1] + usual[2]) / 2)
    assert 0.02 < newcomer.latency(10.0) < 0.6
    assert traffic.bear(1000, 0.05)["e"] <= 15  # before it has answered anything


def test_what_joins_others_works_up_from_a_tenth_of_its_share() -> None:
    random.seed(1)
    balancer = among(members("abcd"), slow_start=10.0)
    traffic = Traffic(balancer, lambda *_: 0.01)
    traffic.bear(500, 5)
    balancer.update(members("abcde"), traffic.now)
    for second in range(12):
        weight = min(1.0, max(0.1, second / 10))
        got = sum(traffic.bear(5000, 1 / 3)["e"] for _ in range(3))
        assert got == pytest.approx(5000 * weight / (4 + weight), rel=0.3, abs=15), second
    assert not balancer._shares


def test_a_slow_start_may_be_quick() -> None:
    random.seed(1)
    balancer = among(members("abcd"), slow_start=0.5)
    traffic = Traffic(balancer, lambda *_: 0.01)
    traffic.bear(500, 5)
    balancer.update(members("abcde"), traffic.now)
    assert traffic.bear(1000, 0.1)["e"] < 10
    traffic.bear(1000, 0.4)
    assert traffic.bear(1000, 1.0)["e"] == pytest.approx(200, rel=0.25)


def test_where_all_are_new_nobody_starts_slowly() -> None:
    balancer = among(members("abc"), slow_start=10.0)
    assert not balancer._shares
    balancer.update([], 1.0)
    balancer.update(members("de"), 2.0)
    assert not balancer._shares


def test_two_that_join_together_do_not_get_all_their_share_from_each_other() -> None:
    random.seed(1)
    balancer = among(members("ab"), slow_start=10.0)
    traffic = Traffic(balancer, lambda *_: 0.01)
    traffic.bear(500, 5)
    balancer.update(members("abcd"), traffic.now)
    found = traffic.bear(1000, 0.9)
    assert found["c"] + found["d"] == pytest.approx(900 * 0.2 / 2.2, rel=0.3)


def test_what_is_gone_finishes_what_it_was_given_and_is_forgotten() -> None:
    balancer = among(members("abc"))
    everyone = known(balancer)
    everyone["a"].in_flight += 2
    assert balancer.update(members("bc"), 1.0) == [instance("a")]
    assert states(balancer, 1.0) == {"a": "draining", "b": "in use", "c": "in use"}
    assert "a" not in picks(balancer, 100, 1.0)
    everyone["a"].answered(0.1, 2.0)
    assert balancer.update(members("bc"), 2.0) == []
    assert states(balancer, 2.0)["a"] == "draining"
    fail(balancer, everyone["b"], 2.0)
    balancer.failed(everyone["a"], Verdict.FAILURE, 0.1, 3.0, None)
    assert set(states(balancer, 3.0)) == {"b", "c"}
    assert not balancer._draining


def test_what_comes_back_while_it_drains_is_who_it_was() -> None:
    balancer = among(members("abc"), slow_start=10.0)
    draining = balancer.pick(0.0)
    others = set("abc") - {name_of(draining)}
    balancer.update(members(others), 1.0)
    balancer.update(members("abc"), 2.0)
    assert sorted(fact["in_flight"] for fact in balancer.facts(2.0)) == [0, 0, 1]
    assert draining in {balancer.pick(2.0) for _ in range(10)}
    assert not balancer._shares  # it is no newcomer
    assert not balancer._draining


def test_what_comes_back_later_is_new() -> None:
    balancer = among(members("abc"), slow_start=10.0)
    before = known(balancer)["a"]
    balancer.update(members("bc"), 1.0)
    balancer.update(members("abc"), 2.0)
    assert known(balancer, 2.0)["a"] is not before
    assert balancer._shares


def test_what_fails_while_it_drains_is_not_left_alone() -> None:
    balancer = among(members("abc"))
    everyone = known(balancer)
    everyone["a"].in_flight += 1
    balancer.update(members("bc"), 1.0)
    fail(balancer, everyone["a"], 1.0, 20)
    assert everyone["a"].ejections == 0
    fail(balancer, everyone["b"], 1.0, 5)
    assert states(balancer, 1.0) == {"a": "draining", "b": "ejected", "c": "in use"}


# zones


def test_calls_stay_in_the_zone_while_seventy_percent_of_it_are_well() -> None:
    balancer = among([*members("abcdefghij", zone="here"), *members("klmno", zone="there")], zone="here")
    assert set(picks(balancer, 500, 0.0)) == set("abcdefghij")
    for name in "abc":
        balancer.checked(instance(name), 0.0, healthy=False)
    assert set(picks(balancer, 500, 0.0)) == set("defghij")
    assert states(balancer, 0.0)["k"] == "elsewhere"
    balancer.checked(instance("d"), 0.0, healthy=False)
    assert set(picks(balancer, 500, 0.0)) == set("efghijklmno")
    assert states(balancer, 0.0)["k"] == "in use"
    balancer.checked(instance("a"), 0.0, healthy=True)
    assert set(picks(balancer, 500, 0.0)) == set("aefghij")


def test_what_is_left_alone_counts_as_not_well_in_its_zone() -> None:
    balancer = among([*members("abc", zone="here"), *members("de", zone="there")], zone="here")
    fail(balancer, known(balancer)["a"], 0.0, 5)
    assert set(picks(balancer, 500, 0.0)) == set("bcde")
    assert states(balancer, 34.0) == dict.fromkeys("abc", "in use") | dict.fromkeys("de", "elsewhere")


@pytest.mark.parametrize("zone", ["", "nowhere"])
def test_who_has_no_neighbours_asks_everyone(zone: str) -> None:
    balancer = among([*members("ab", zone="here"), *members("cd", zone="there"), *members("e")], zone=zone)
    assert set(picks(balancer, 500, 0.0)) == set("abcde")


# panic


def test_when_fewer_than_half_are_well_all_are_asked() -> None:
    balancer = among([*members("abc", zone="here"), *members("d", zone="there")], zone="here")
    for name in "ab":
        balancer.checked(instance(name), 0.0, healthy=False)
    assert not balancer.panic
    assert set(picks(balancer, 500, 0.0)) == set("cd")
    balancer.checked(instance("c"), 0.0, healthy=False)
    assert balancer.panic
    assert set(picks(balancer, 500, 0.0)) == set("abcd")
    assert states(balancer, 0.0) == {"a": "unhealthy", "b": "unhealthy", "c": "unhealthy", "d": "in use"}
    balancer.checked(instance("a"), 0.0, healthy=True)
    assert not balancer.panic
    assert set(picks(balancer, 500, 0.0)) == set("ad")


def test_the_only_one_is_asked_however_unwell_it_is() -> None:
    balancer = among(members("a"))
    balancer.checked(instance("a"), 0.0, healthy=False)
    assert picks(balancer, 10, 0.0) == {"a": 10}
    assert balancer.panic


def test_ends_of_panic_are_seen_when_nobody_calls() -> None:
    balancer = among(members("abc"))
    fail(balancer, known(balancer)["a"], 0.0, 5)
    balancer.checked(instance("b"), 0.0, healthy=False)
    assert balancer.panic
    assert states(balancer, 0.0) == {"a": "ejected", "b": "unhealthy", "c": "in use"}
    assert states(balancer, 34.0) == {"a": "in use", "b": "unhealthy", "c": "in use"}
    assert not balancer.panic


# what operators see


def test_that_an_instance_changes_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    balancer = among(members("abc"))
    for healthy in (True, False, False, True, True):
        balancer.checked(instance("a"), 0.0, healthy=healthy)
        balancer.checked(instance("gone"), 0.0, healthy=healthy)
    assert caplog.messages == ["shop: http://a.test:80 is unhealthy", "shop: http://a.test:80 is healthy again"]


def test_operators_see_how_each_does() -> None:
    balancer = among([Member(instance("a"), "here", 2.0), *members("bc")])
    everyone = known(balancer)
    assert balancer.facts(0.0)[1]["latency"] is None
    everyone["a"].in_flight += 1
    everyone["a"].answered(0.25, 0.0)
    fail(balancer, everyone["a"], 0.0, 5)
    everyone["a"].in_flight += 3
    fact = balancer.facts(10.0)[0]
    assert 15.0 <= fact.pop("back_in") <= 23.0
    assert fact == {
        "address": "http://a.test:80",
        "zone": "here",
        "weight": 2.0,
        "state": "ejected",
        "latency": round(5.0 / exp(1), 4),
        "in_flight": 3,
        "connections": None,
        "sent_again": None,
        "calls": 6,
        "failures": 5,
        "ejections": 1,
    }
