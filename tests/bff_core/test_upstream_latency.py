"""Live percentiles against a list of every answer, and what is refused because of them."""

from contextlib import suppress
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bff_core.errors import DeadlinePassed, Reason
from bff_core.upstream.latency import Latency

STEP = 2 ** (1 / 8)
EXACTLY = 1e-9

answers = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 1.0, 9.0, 10.0, 11.0, 12.0, 60.0]) | st.floats(0, 3),  # later
        st.lists(st.floats(0.0001, 60.0), max_size=30),  # took so long
    ),
    max_size=12,
)


@settings(deadline=None)
@given(st.floats(0, 1e6), answers)
def test_a_percentile_is_that_of_the_last_ten_seconds_and_none_where_few_are_known(
    start: float, story: list[tuple[float, list[float]]]
) -> None:
    latency, now = Latency("shop"), start
    known: list[tuple[float, float]] = []
    for later, took in story:
        now += later
        for ran in took:
            latency.record(ran, now)
            known.append((now, ran))
        now += 0.25  # when it is worked out again, whatever was known before
        recent = [ran for at, ran in known if now - at < 9.0 - EXACTLY]
        perhaps = [ran for at, ran in known if now - at <= 10.0 + EXACTLY]
        if len(perhaps) < 20:
            assert latency.p50(now) is latency.p95(now) is None
        elif len(recent) == len(perhaps):
            for share, found in ((0.5, latency.p50(now)), (0.95, latency.p95(now)), (0.99, latency.last_p99(now))):
                assert found is not None
                assert sum(ran <= found * (1 + EXACTLY) for ran in recent) >= share * len(recent)
                assert sum(ran < found / STEP * (1 - EXACTLY) for ran in recent) < share * len(recent)


def answered(*took: float, at: float = 0.0) -> Latency:
    latency = Latency("shop")
    for ran in took:
        latency.record(ran, at)
    return latency


@pytest.mark.parametrize("known", [0, 19, 20, 1000])
def test_what_half_of_the_answers_would_miss_is_refused_where_twenty_are_known(known: int) -> None:
    latency = answered(*[0.4] * known)
    latency.admit(0.5, 0.0)
    latency.admit(inf, 0.0)
    if known < 20:
        latency.admit(0.001, 0.0)
    else:
        with pytest.raises(DeadlinePassed, match="shop") as refused:
            latency.admit(0.3, 0.0)
        assert refused.value.reason is Reason.DEADLINE


@pytest.mark.parametrize("left", [0.0, -0.001, -inf])
def test_without_any_time_it_is_refused_whatever_is_known(left: float) -> None:
    with pytest.raises(DeadlinePassed):
        Latency("shop").admit(left, 0.0)


@pytest.mark.parametrize("asked_every", [0.01, 1.0, 3.0, 10.0, 15.0, 20.0, 100.0])
def test_a_refusal_ends_by_itself_ten_seconds_after_the_last_answer_however_rarely_it_is_asked(
    asked_every: float,
) -> None:
    latency, now = answered(*[0.4] * 100), 0.0
    while now <= 10.25:
        with suppress(DeadlinePassed):
            latency.admit(0.3, now)
        now += asked_every
    latency.admit(0.3, now)
    assert latency.p50(now) is None


def test_an_upstream_that_is_well_again_is_known_to_be_within_ten_seconds() -> None:
    latency = answered(*[0.4] * 1000)
    now = 0.0
    while latency.p50(now) != pytest.approx(0.01, rel=0.1):
        now += 0.1
        for _ in range(10):
            latency.record(0.01, now)
        assert now < 10.3


def test_the_last_known_p99_outlives_its_evidence_and_the_others_do_not() -> None:
    latency = answered(*[0.2] * 100)
    assert latency.last_p99(0.0) == pytest.approx(0.2, rel=0.1)
    assert latency.last_p99(1000.0) == pytest.approx(0.2, rel=0.1)
    assert latency.p95(1000.0) is None
    assert latency.p50(1000.0) is None


def test_of_an_upstream_that_never_answered_often_nothing_is_known() -> None:
    latency = answered(*[0.2] * 19)
    assert latency.p50(0.0) is latency.p95(0.0) is latency.last_p99(0.0) is None


@pytest.mark.parametrize("ran", [0.0, 1e-9, 2**-14, 63.9, 64.0, 1e6])
def test_what_is_beyond_the_scale_is_counted_at_its_end(ran: float) -> None:
    latency = answered(*[ran] * 20)
    assert latency.p50(0.0) == pytest.approx(min(max(ran, 2**-14), 64.0), rel=0.1)
