"""The circuit: against a list of every attempt, and by itself."""

from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bff_core.errors import CircuitOpen
from bff_core.upstream import Verdict
from bff_core.upstream.circuit import NO_CIRCUIT, Circuit, State
from bff_core.upstream_settings import CircuitSettings

EXACTLY = 1e-9  # seconds
LONG = st.sampled_from([0.1, 0.4, 1.0, 3.9, 6.1, 9.0, 10.0, 11.0]) | st.floats(0, 12)


@dataclass
class Attempt:
    begun: float
    probe: bool
    ended: float = 0.0
    verdict: Verdict = Verdict.OURS

    @property
    def ran(self) -> float:
        return self.ended - self.begun


class AgainstAList(RuleBasedStateMachine):
    """What is let through, and how long it takes, is up to whoever searches for a fault."""

    @initialize(
        attempts=st.sampled_from([1, 3, 20]),
        failures=st.sampled_from([0.5, 0.2, 1.0]),
        slow=st.sampled_from([None, "500ms"]),
        successes=st.sampled_from([1, 3]),
        start=st.floats(0, 1e6),
    )
    def begin(self, attempts: int, failures: float, slow: str | None, successes: int, start: float) -> None:
        self.settings = CircuitSettings(attempts=attempts, failures=failures, slow=slow, successes=successes)  # type: ignore[arg-type]
        self.circuit = Circuit("shop", self.settings, self._changed)
        self.now = start
        self.under_way: list[Attempt] = []
        self.ended: list[Attempt] = []  # since it closed, and counting
        self.closed_at = self.opened_at = start
        self.good = 0
        self.states = [State.CLOSED]

    def _changed(self, state: State) -> None:
        assert state is not self.states[-1]
        self.states.append(state)

    @rule(pause=LONG)
    def pass_time(self, pause: float) -> None:
        self.now += pause

    @rule(pause=st.sampled_from([0.0, 0.01, 0.3]) | st.floats(0, 0.6))
    def pass_a_moment(self, pause: float) -> None:
        self.now += pause

    @rule(times=st.integers(1, 25))
    def ask(self, times: int) -> None:
        if self.now == self.closed_at:
            self.now += 2 * EXACTLY  # or floats decide whether it was before that
        for _ in range(times):
            state, probing = self.circuit.state, any(attempt.probe for attempt in self.under_way)
            try:
                probe = self.circuit.admit(self.now)
            except CircuitOpen as refused:
                wait = refused.retry_after or 0.0
                assert 0 < wait <= 6.0 + EXACTLY
                assert probing or (state is State.OPEN and self.now - self.opened_at <= 6.0 + EXACTLY)
            else:
                assert probe == (state is not State.CLOSED)
                assert not (probe and probing)
                if state is State.OPEN:
                    assert self.now - self.opened_at >= 4.0 - EXACTLY
                    self.good = 0
                self.under_way.append(Attempt(self.now, probe))

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0), verdict=st.sampled_from(Verdict))
    def one_ends(self, which: int, verdict: Verdict) -> None:
        self._end(self.under_way.pop(which % len(self.under_way)), verdict)

    @precondition(lambda self: self.under_way)
    @rule(times=st.integers(1, 3))
    def the_oldest_fail(self, times: int) -> None:
        for _ in range(min(times, len(self.under_way))):
            self._end(self.under_way.pop(0), Verdict.FAILURE)

    @precondition(lambda self: self.under_way)
    @rule(verdict=st.sampled_from([Verdict.SUCCESS, Verdict.FAILURE, Verdict.OURS]))
    def all_end(self, verdict: Verdict) -> None:
        while self.under_way:
            self._end(self.under_way.pop(), verdict)

    @rule()
    def recover(self) -> None:
        self.now += 6.0 + EXACTLY
        while self.circuit.state is not State.CLOSED and not any(attempt.probe for attempt in self.under_way):
            self.ask(1)
            self._end(self.under_way.pop(), Verdict.SUCCESS)
            if self.circuit.state is State.OPEN:  # it was slow
                return

    def _end(self, attempt: Attempt, verdict: Verdict) -> None:
        attempt.ended, attempt.verdict = self.now, verdict
        before = self.circuit.state
        self.circuit.record(verdict, attempt.ran, self.now, probe=attempt.probe)
        if attempt.probe:
            self._probed(attempt)
        elif before is State.CLOSED:
            self._counted(attempt)
        else:
            assert self.circuit.state is before
        if self.circuit.state is State.OPEN and before is not State.OPEN:
            self.opened_at = self.now

    def _probed(self, attempt: Attempt) -> None:
        if attempt.verdict is Verdict.OURS:
            assert self.circuit.state is State.HALF_OPEN
        elif attempt.verdict is not Verdict.SUCCESS or self._slow(attempt):
            assert self.circuit.state is State.OPEN
        else:
            self.good += 1
            closes = self.good >= self.settings.successes
            assert self.circuit.state is (State.CLOSED if closes else State.HALF_OPEN)
            if closes:
                self.closed_at = self.now
                self.ended.clear()

    def _counted(self, attempt: Attempt) -> None:
        counts = attempt.verdict.counts and attempt.begun >= self.closed_at
        if counts:
            self.ended.append(attempt)
        opens = self.circuit.state is State.OPEN
        looks_back = {10.0 + EXACTLY, 9.0 - EXACTLY} | {
            age + EXACTLY for one in self.ended if 9.0 - EXACTLY <= (age := self.now - one.ended) <= 10.0 + EXACTLY
        }
        reasons = [self._reason(seconds) for seconds in looks_back]
        assert not (opens and not any(reasons))
        if counts and (attempt.verdict.counts_as == "failure" or self._slow(attempt)):
            assert opens or not all(reasons)
        if opens:
            self.ended.clear()

    def _reason(self, seconds: float) -> bool:
        counted = [one for one in self.ended if self.now - one.ended < seconds]
        failed = sum(one.verdict.counts_as == "failure" for one in counted)
        slow = sum(self._slow(one) for one in counted)
        many = len(counted) >= self.settings.attempts
        return many and (
            failed >= self.settings.failures * len(counted) or slow >= self.settings.slow_share * len(counted)
        )

    def _slow(self, attempt: Attempt) -> bool:
        return self.settings.slow is not None and attempt.ran >= self.settings.slow

    @invariant()
    def there_is_at_most_one_probe(self) -> None:
        assert sum(attempt.probe for attempt in self.under_way) <= 1

    @invariant()
    def it_says_what_it_is_and_how_often_it_opened(self) -> None:
        assert self.circuit.state is self.states[-1]
        assert self.circuit.opened == self.states.count(State.OPEN)

    def teardown(self) -> None:
        """Whatever has happened, it is not stuck: with probes that succeed it is closed again."""
        if not hasattr(self, "circuit"):
            return
        self.all_end(Verdict.OURS)
        self.now += 6.0 + EXACTLY
        for _ in range(self.settings.successes):
            probe = self.circuit.admit(self.now)
            self.circuit.record(Verdict.SUCCESS, 0.0, self.now, probe=probe)
        assert self.circuit.state is State.CLOSED


TestAgainstAList = AgainstAList.TestCase


def opened(**settings: object) -> Circuit:
    """One that has just opened, at 0."""
    circuit = Circuit("shop", CircuitSettings(**{"attempts": 2, **settings}))  # type: ignore[arg-type]
    for _ in range(2):
        circuit.record(Verdict.FAILURE, 0.1, 0.0, probe=circuit.admit(0.0))
    assert circuit.state is State.OPEN
    return circuit


def test_it_opens_when_half_of_at_least_twenty_have_failed() -> None:
    circuit = Circuit("shop", CircuitSettings())
    for number in range(19):
        circuit.record(Verdict.FAILURE, 0.1, number / 10, probe=circuit.admit(number / 10))
    assert circuit.state is State.CLOSED
    circuit.record(Verdict.FAILURE, 0.1, 2.0, probe=circuit.admit(2.0))
    assert circuit.state is State.OPEN


def test_it_stays_closed_below_that_share_however_many_they_are() -> None:
    circuit = Circuit("shop", CircuitSettings())
    for number in range(10_000):
        verdict = Verdict.FAILURE if number % 100 > 50 else Verdict.SUCCESS
        circuit.record(verdict, 0.1, number / 100, probe=circuit.admit(number / 100))
    assert circuit.state is State.CLOSED


def test_what_was_fine_a_while_ago_is_not_forgotten_sooner_than_what_was_not() -> None:
    # four tenths fail in the first second, which is fine, and later, when that is all but forgotten, next to nothing
    circuit = Circuit("shop", CircuitSettings())
    circuit.record(Verdict.SUCCESS, 0.1, 0.0, probe=circuit.admit(0.0))
    for number in range(100):
        circuit.record(Verdict.FAILURE if number % 10 < 4 else Verdict.SUCCESS, 0.1, 0.95, probe=circuit.admit(0.95))
    for _ in range(21):
        circuit.record(Verdict.SUCCESS, 0.1, 10.1, probe=circuit.admit(10.1))
    circuit.record(Verdict.FAILURE, 0.1, 10.1, probe=circuit.admit(10.1))
    assert circuit.state is State.CLOSED


@pytest.mark.parametrize("verdict", [Verdict.OURS, Verdict.THROTTLED])
def test_what_says_nothing_of_health_never_opens_it(verdict: Verdict) -> None:
    circuit = Circuit("shop", CircuitSettings(slow="100ms"))  # type: ignore[arg-type]
    for _ in range(1000):
        circuit.record(verdict, 10.0, 0.0, probe=circuit.admit(0.0))
    assert circuit.state is State.CLOSED


def test_answers_that_take_too_long_open_it_too_where_that_is_asked_for() -> None:
    for slow, state in (("300ms", State.OPEN), ("301ms", State.CLOSED), (None, State.CLOSED)):
        circuit = Circuit("shop", CircuitSettings(slow=slow))  # type: ignore[arg-type]
        for _ in range(20):
            circuit.record(Verdict.SUCCESS, 0.3, 0.0, probe=circuit.admit(0.0))
        assert circuit.state is state


def test_while_it_is_open_it_refuses_at_once_and_says_for_how_long() -> None:
    circuit = opened()
    with pytest.raises(CircuitOpen) as refused:
        circuit.admit(0.0)
    assert 4.0 <= (refused.value.retry_after or 0) <= 6.0
    with pytest.raises(CircuitOpen) as later:
        circuit.admit(2.0)
    assert later.value.retry_after == pytest.approx((refused.value.retry_after or 0) - 2.0)


def test_it_rests_as_long_the_tenth_time_as_the_first_and_never_twice_the_same() -> None:
    rests = set()
    for _ in range(50):
        circuit = opened()
        now = 0.0
        for _ in range(10):
            with pytest.raises(CircuitOpen) as refused:
                circuit.admit(now)
            rest = refused.value.retry_after or 0.0
            rests.add(rest)
            now += rest + EXACTLY
            assert circuit.admit(now)
            circuit.record(Verdict.FAILURE, 0.1, now, probe=True)
    assert len(rests) > 400
    assert 4.0 - EXACTLY <= min(rests) < 4.2
    assert 5.8 < max(rests) <= 6.0 + EXACTLY


def test_a_probe_that_is_refused_elsewhere_cancelled_or_stopped_by_a_hasty_client_makes_room_for_the_next() -> None:
    circuit = opened()
    for _ in range(10):
        assert circuit.admit(7.0)
        with pytest.raises(CircuitOpen):
            circuit.admit(7.0)
        circuit.record(Verdict.OURS, 0.01, 7.0, probe=True)
    assert circuit.state is State.HALF_OPEN


@pytest.mark.parametrize("verdict", [Verdict.FAILURE, Verdict.LASTING, Verdict.THROTTLED])
def test_a_probe_that_fails_or_is_throttled_opens_it_again_and_what_went_well_before_counts_no_more(
    verdict: Verdict,
) -> None:
    circuit = opened()
    for _ in range(2):
        circuit.record(Verdict.SUCCESS, 0.1, 7.0, probe=circuit.admit(7.0))
    circuit.record(verdict, 0.1, 7.0, probe=circuit.admit(7.0))
    assert circuit.state is State.OPEN
    for _ in range(2):
        circuit.record(Verdict.SUCCESS, 0.1, 14.0, probe=circuit.admit(14.0))
    assert circuit.state is State.HALF_OPEN
    circuit.record(Verdict.SUCCESS, 0.1, 14.0, probe=circuit.admit(14.0))
    assert circuit.state is State.CLOSED


def test_a_probe_that_is_slow_opens_it_again() -> None:
    circuit = opened(slow="300ms")
    circuit.record(Verdict.SUCCESS, 0.3, 7.0, probe=circuit.admit(7.0))
    assert circuit.state is State.OPEN


def test_what_was_sent_before_it_opened_says_nothing_once_it_is_closed_again() -> None:
    circuit = opened()  # while others, with a long timeout, were under way
    for _ in range(3):
        circuit.record(Verdict.SUCCESS, 0.1, 7.0, probe=circuit.admit(7.0))
    for _ in range(100):
        circuit.record(Verdict.FAILURE, 30.0, 29.0, probe=False)
    assert circuit.state is State.CLOSED


def test_where_there_is_none_everything_is_let_through() -> None:
    for _ in range(100):
        assert not NO_CIRCUIT.admit(0.0)
        NO_CIRCUIT.record(Verdict.FAILURE, 1.0, 0.0, probe=False)
    assert (NO_CIRCUIT.state, NO_CIRCUIT.opened) == (State.CLOSED, 0)
