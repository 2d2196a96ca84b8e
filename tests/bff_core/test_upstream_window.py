"""A window against a list of every moment at which it happened."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bff_core.upstream.window import Window

EXACTLY = 1e-9  # seconds: what adding up slices may be off by
PAUSES = st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0, 9.0, 9.9, 10.0, 10.1, 11.0, 60.0]) | st.floats(0, 12)


class AgainstAList(RuleBasedStateMachine):
    @initialize(
        seconds=st.sampled_from([10.0, 11.0, 1.0, 0.3]),
        slices=st.sampled_from([1, 2, 3, 10, 11]),
        start=st.floats(0, 1e6),
    )
    def begin(self, seconds: float, slices: int, start: float) -> None:
        self.seconds, self.slice = seconds, seconds / slices
        self.windows = [Window(seconds, slices)]
        self.now = start
        self.moments: list[float] = []

    @rule(pause=PAUSES)
    def pass_time(self, pause: float) -> None:
        self.now += pause * self.seconds / 10

    @rule(times=st.integers(1, 5))
    def happen(self, times: int) -> None:
        for _ in range(times):
            self.moments.append(self.now)
            for window in self.windows:
                window.add(self.now)

    @rule()
    def forget(self) -> None:
        self.moments.clear()
        for window in self.windows:
            window.clear()

    @precondition(lambda self: not self.moments)
    @rule()
    def begin_another(self) -> None:
        """It has begun at another moment, and has seen the same."""
        self.windows.append(Window(self.seconds, round(self.seconds / self.slice)))

    @invariant()
    def it_counts_what_happened_in_its_seconds_and_at_least_all_but_one_slice_of_it(self) -> None:
        ages = [self.now - moment for moment in self.moments]
        most = sum(age <= self.seconds + EXACTLY for age in ages)
        least = sum(age < self.seconds - self.slice - EXACTLY for age in ages)
        for window in self.windows:
            assert least <= window.count(self.now) <= most

    @invariant()
    def it_does_not_matter_when_it_was_made_or_first_looked_at(self) -> None:
        assert len({window.count(self.now) for window in self.windows}) == 1


TestAgainstAList = AgainstAList.TestCase


def test_what_happened_goes_slice_by_slice() -> None:
    window = Window(10.0)
    for second in range(10):
        window.add(second + 0.5)
    assert [window.count(9.9 + second) for second in range(12)] == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]


@pytest.mark.parametrize("silence", [9.0, 10.0, 15.0, 1e6, 1e15])
def test_after_silence_it_counts_anew(silence: float) -> None:
    window = Window(10.0)
    window.add(0.0)
    window.add(10.0 + silence)
    assert window.count(10.0 + silence) == 1
    assert window.count(30.0 + silence * 2) == 0
