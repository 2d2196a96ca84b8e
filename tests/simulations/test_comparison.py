"""Ours beside the two that everyone knows: better where one instance is in trouble, and little worse where none is."""

from functools import cache
from xml.etree import ElementTree as ET

import pytest

from tests.simulations.comparison import CASES, CHOOSERS, Outcome, compare
from tests.simulations.trouble import FAILS, SLOW, drawn, trouble

NO_TROUBLE = [name for name, case in CASES.items() if case.trouble is CASES["all are equal"].trouble]
TROUBLE = [name for name in CASES if name not in NO_TROUBLE]


@cache
def outcome(case: str, chooser: str) -> Outcome:
    return compare(CASES[case], chooser)


@pytest.mark.parametrize("case", TROUBLE)
def test_one_instance_in_trouble_costs_next_to_nothing(case: str) -> None:
    ours, well = outcome(case, "ours"), outcome("all are equal", "ours")

    assert ours.failed < 20
    assert ours.p99 < 1.1 * well.p99


@pytest.mark.parametrize("case", TROUBLE)
@pytest.mark.parametrize("other", [name for name in CHOOSERS if name != "ours"])
def test_with_any_other_it_costs_many_calls_or_much_time(case: str, other: str) -> None:
    ours, others = outcome(case, "ours"), outcome(case, other)

    assert others.failed > 10 * (ours.failed + 1) or others.p99 > 1.4 * ours.p99


@pytest.mark.parametrize("case", NO_TROUBLE)
def test_where_all_are_well_it_costs_less_than_a_tenth_beside_one_that_looks_at_all(case: str) -> None:
    ours, all_of_them = outcome(case, "ours"), outcome(case, "least in flight")

    assert ours.failed == all_of_them.failed
    assert ours.p99 < 1.1 * all_of_them.p99


def test_a_picture_of_trouble_is_a_whole_drawing_and_ours_is_the_calm_line() -> None:
    three = {name: trouble(name) for name in CHOOSERS}
    picture = ET.fromstring(drawn(three))

    lines = picture.findall("{*}polyline")
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    points = [point.split(",") for line in lines for point in line.attrib["points"].split()]
    assert len(lines) == 2 * len(CHOOSERS)
    assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in points)
    assert max(three["ours"].failed(second) for second in range(SLOW.start, SLOW.end)) < 1
    assert max(three["ours"].p99(second) for second in range(SLOW.start + 1, SLOW.end)) < 100
    assert min(three["least in flight"].failed(second) for second in range(FAILS.start + 1, FAILS.end)) > 50
