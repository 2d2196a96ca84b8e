"""A service that was dark for a while is as good as before soon after it is back; and without a budget, never again."""

from xml.etree import ElementTree as ET

import pytest

from tests.simulations.picture import drawn
from tests.simulations.storm import BUDGET_ALONE, CAPACITY, EVERYTHING, OFFERED, WITHOUT_BUDGET, storm

SOON = 7  # seconds


def test_without_a_budget_those_who_try_again_keep_it_down_for_ever() -> None:
    after = storm(WITHOUT_BUDGET, 10, after=50)

    assert after.calls.goodput(0, 15) == 1
    later = range(after.back + 10, after.end)
    assert after.calls.goodput(later.start, later.stop) < 0.01
    sent = sum(after.attempts[second] for second in later) / len(later)
    assert sent > 2.5 * OFFERED
    assert sent > 2 * CAPACITY


@pytest.mark.parametrize("how", ["hangs", "refuses"])
@pytest.mark.parametrize("dark", [10, 30, 120])
@pytest.mark.parametrize(
    "policies", [BUDGET_ALONE, {}, EVERYTHING], ids=["budget alone", "as it comes", "everything on"]
)
def test_with_ours_it_is_as_good_as_before_within_seven_seconds(policies: dict, dark: int, how: str) -> None:
    after = storm(policies, dark, how)

    assert after.calls.well_after(after.back) <= SOON
    assert after.calls.goodput(after.back + SOON, after.end) > 0.999


def test_a_picture_of_it_is_a_whole_drawing_with_a_line_for_each() -> None:
    short = storm({}, 1, after=8)
    picture = ET.fromstring(drawn({"<one>": short, "two": short, "three": short}))

    lines = picture.findall("{*}polyline")
    points = [point.split(",") for line in lines for point in line.attrib["points"].split()]
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    assert [line.attrib["class"] for line in lines] == ["line bad", "line good", "line best"] * 2
    assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in points)
    assert picture.findtext("{*}desc", "").startswith("<one>: from 7 s after it is back, 100% are answered")
