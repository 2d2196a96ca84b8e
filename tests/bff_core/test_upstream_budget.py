"""The retry budget against a list of every call and of every retry."""

from math import inf

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bff_core.upstream.budget import RetryBudget

EXACTLY = 1e-9  # seconds


class AgainstLists(RuleBasedStateMachine):
    @initialize(
        share=st.sampled_from([0.1, 0.2, 0.0, 1.0]), floor=st.sampled_from([10, 0, 1, 3]), start=st.floats(0, 1e6)
    )
    def begin(self, share: float, floor: int, start: float) -> None:
        self.share, self.floor, self.now = share, floor, start
        self.budget = RetryBudget(share, floor)
        self.calls: list[float] = []
        self.retries: list[float] = []
        self.hedges: list[float] = []  # which are among them
        self.refused = 0
        self.refused_at = -inf
        self.paid: list[tuple[float, float, float]] = []  # evenly: when, and how long from one to the next, from and to

    @rule(pause=st.sampled_from([0.05, 0.5, 1.0, 9.0, 10.0, 11.0]) | st.floats(0, 12))
    def pass_time(self, pause: float) -> None:
        self.now += pause

    @rule(times=st.integers(1, 100))
    def call(self, times: int) -> None:
        for _ in range(times):
            self.budget.called(self.now)
        self.calls += [self.now] * times

    @rule(times=st.integers(1, 30))
    def fail(self, times: int) -> None:
        for _ in range(times):
            left, evenly = self.budget.left(self.now), self.now - self.refused_at < 11.0
            if self.budget.withdraw(self.now):
                assert left > 0
                self.retries.append(self.now)
                self.paid = [*self.paid[-2:], (self.now, 10 / self._allowed(10.0), 10 / max(1, self._allowed(9.0)))]
                # one may make up for being late
                assert not evenly or len(self.paid) < 3 or self.now >= self.paid[0][0] + self.paid[1][1] - EXACTLY
                continue
            if left:
                assert evenly
                assert self.now < self.paid[-1][0] + self.paid[-1][2] + EXACTLY
            else:
                # no meaner than whole slices make it
                assert self._since(self.retries, 11.0) >= self._allowed(9.0)
            if not evenly:
                self.paid = []
            self.refused_at = self.now
            self.refused += 1

    @rule(times=st.integers(1, 30))
    def hedge(self, times: int) -> None:
        for _ in range(times):
            left, of_late = self.budget.left(self.now), [self.now - hedge for hedge in self.hedges]
            if self.budget.withdraw_evenly(self.now):
                assert left > 0
                assert sum(age < 0.9 - EXACTLY for age in of_late) < max(5, self._allowed(10.0) // 5)
                self.retries.append(self.now)
                self.hedges.append(self.now)
            else:
                assert left == 0 or sum(age < 1.0 + EXACTLY for age in of_late) >= max(5, self._allowed(9.0) // 5)
                self.refused += 1

    @invariant()
    def in_the_ten_seconds_before_any_retry_there_are_no_more_than_a_share_of_the_calls_or_the_floor(self) -> None:
        if self.retries and self.retries[-1] == self.now:
            assert self._since(self.retries, 10.0) <= self._allowed(10.0)

    @invariant()
    def it_says_what_is_left_and_what_became_of_all_who_asked(self) -> None:
        assert 0 <= self.budget.left(self.now) <= self._allowed(10.0)
        assert (self.budget.spent, self.budget.refused) == (len(self.retries), self.refused)

    def _since(self, moments: list[float], seconds: float) -> int:
        # what happened just at the end of it may count or not: whatever is more lenient
        lenient = -EXACTLY if seconds == 10.0 and moments is self.retries else EXACTLY
        return sum(self.now - moment < seconds + lenient for moment in moments)

    def _allowed(self, seconds: float) -> int:
        lenient = EXACTLY if seconds == 10.0 else -EXACTLY
        return max(self.floor, int(self.share * sum(self.now - call < seconds + lenient for call in self.calls)))


TestAgainstLists = AgainstLists.TestCase


@settings(deadline=None)
@given(rate=st.integers(1, 200))
@example(rate=100)
def test_when_everything_fails_all_the_time_it_is_the_share_or_the_floor_and_not_much_less(rate: int) -> None:
    budget = RetryBudget(0.1, 10)
    retries = 0
    for number in range(30 * rate):
        budget.called(number / rate)
        retries += budget.withdraw(number / rate)
    assert 0.75 * max(0.1 * 30 * rate, 30) <= retries <= max(0.1 * 30 * rate, 30) + 10


@settings(deadline=None)
@given(rate=st.integers(20, 200), well=st.sampled_from([0, 5, 30]))
def test_of_an_outage_after_better_times_it_is_a_tenth_of_its_calls_however_long_it_lasts(rate: int, well: int) -> None:
    budget = RetryBudget(0.1, 10)
    for number in range(well * rate):
        budget.called(number / rate)
    retries = 0
    for number in range(60 * rate):
        budget.called(well + number / rate)
        retries += sum(budget.withdraw(well + number / rate) for _ in range(2))
        if number >= 10 * rate:
            assert retries <= max(0.1 * number, number / rate)


def test_of_all_that_there_is_at_once_nothing_is_kept_back_and_after_ten_seconds_it_comes_evenly() -> None:
    budget = RetryBudget(0.1, 10)
    for _ in range(1000):
        budget.called(0.5)
    assert [budget.withdraw(1.0) for _ in range(101)] == [True] * 100 + [False]
    for second in range(2, 32):
        for _ in range(100):
            budget.called(second)
        retries = sum(budget.withdraw(second) for _ in range(100))
        assert retries <= 2  # because they ask once a second
    for tenth in range(320, 620):
        for _ in range(10):
            budget.called(tenth / 10)
        assert sum(budget.withdraw(tenth / 10) for _ in range(20)) <= 2
    assert 0.9 * 300 <= budget.spent - 100 <= 300 + 60


def test_without_calls_the_floor_is_what_there_is() -> None:
    budget = RetryBudget(0.1, 10)
    assert [budget.withdraw(0.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert not budget.withdraw(9.99)
    assert budget.withdraw(11.0)


def test_what_was_spent_while_there_were_many_calls_leaves_no_debt_in_what_it_says() -> None:
    budget = RetryBudget(0.1, 10)
    for _ in range(1000):
        budget.called(0.5)
    for _ in range(100):
        assert budget.withdraw(0.5)
    assert budget.left(10.2) == 0


@settings(deadline=None)
@given(share=st.sampled_from([0.0, 0.1, 1.0]), floor=st.sampled_from([0, 3, 10, 100]), calls=st.integers(0, 1000))
@example(share=0.1, floor=10, calls=1000)
def test_of_what_there_is_a_fifth_goes_to_hedges_within_a_second_or_five(share: float, floor: int, calls: int) -> None:
    budget = RetryBudget(share, floor)
    for _ in range(calls):
        budget.called(0.5)
    left = granted = max(floor, int(share * calls))
    for second in range(1, 8):
        hedges = sum(budget.withdraw_evenly(second + 0.5) for _ in range(300))
        assert hedges == min(left, max(5, granted // 5))
        left -= hedges
    assert (budget.spent, budget.left(7.5)) == (granted - left, left)
