"""From figures of rounds to what is printed."""

import json
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import plot, results
from bench.load import Load
from bench.plan import Plan
from bench.ratios import Spread, ratios, spread
from bench.report import Report, figure, markdown
from bench.rounds import in_turn
from bench.scenarios import composed_page, policies
from bench.scenarios.composed_page import Sample


def test_ratios_are_taken_round_by_round_so_that_a_slow_round_changes_nothing() -> None:
    ours, theirs = [100.0, 300.0, 120.0], [200.0, 600.0, 200.0]

    assert ratios(ours, theirs) == Spread(median=0.5, least=0.5, most=0.6)


def test_a_round_that_one_of_two_has_missed_is_no_ratio() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])


def test_of_an_even_number_of_rounds_the_middle_is_between_two() -> None:
    assert spread([4.0, 1.0, 3.0, 2.0]) == Spread(2.5, 1.0, 4.0)


def test_everyone_has_a_turn_in_each_round_and_nobody_is_always_first() -> None:
    assert list(in_turn("ABC", 4)) == [
        *[(1, "A"), (1, "B"), (1, "C")],
        *[(2, "B"), (2, "C"), (2, "A")],
        *[(3, "C"), (3, "A"), (3, "B")],
        *[(4, "A"), (4, "B"), (4, "C")],
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(22051.3, "22,051"), (190.4, "190"), (99.96, "100.0"), (13.25, "13.2"), (0.857, "0.86"), (0.1, "0.10")],
        *[(0.0857, "0.086"), (0.0076, "0.0076"), (0.0, "0.00"), (-0.031, "-0.031"), (-190.4, "-190")],
    ],
)
def test_figures_are_as_long_as_they_are_meant(value: float, text: str) -> None:
    assert figure(value) == text


def samples(*figures: tuple[float, float]) -> list[Sample]:
    """One sample for each pair of CPU a page and p99."""
    return [
        Sample(user=cpu - 1.0, system=1.0, calls=700, load=Load(pages=100, seconds=1.0, p50=1.0, p99=p99))
        for cpu, p99 in figures
    ]


SAMPLES = {
    "bff-core": samples((200.0, 10.0), (300.0, 12.0)),
    "Node, the same duties": samples((250.0, 8.0), (300.0, 12.0)),
    "FastAPI + httpx, bare": samples((40_000.0, 1_000.0), (30_000.0, 1_000.0)),
}


def test_a_row_tells_what_we_cost_over_what_they_cost_and_where_we_want_to_be() -> None:
    rows = {row[0]: row[6:] for row in composed_page.report(SAMPLES, []).rows}

    assert rows["bff-core"] == ["1", "", "1", ""]
    assert rows["Node, the same duties"] == ["0.90 (0.80..1.00)", "≤ 1", "1.12 (1.00..1.25)", "≤ 1"]
    assert rows["FastAPI + httpx, bare"] == ["0.0075 (0.0050..0.010)", "≤ 0.02", "0.011 (0.010..0.012)", ""]


def test_what_policies_add_is_the_difference_of_one_round() -> None:
    turns = [
        {"wire": wire, "way": way, "cpu": cpu + lag, "wall": cpu + lag + 1}
        for lag in (0.0, 50.0, 1.0)
        for wire in ("network", "memory")
        for way, cpu in (("bare", 10.0), ("policies", 14.0))
    ]
    rows = policies.report(turns, []).rows

    assert rows[0] == ["network, cpu", "11.0", "15.0", "4.00 (4.00..4.00)", "≤ 4"]
    assert rows[3] == ["memory, wall", "12.0", "16.0", "4.00 (4.00..4.00)", ""]


REPORT = Report("A page", ["", "CPU"], [["ours", "200"], ["Node & <co>", "210"]], {"ours": [200.0]}, ["a note"])


def test_a_table_is_markdown_too() -> None:
    assert markdown(REPORT) == "|  | CPU |\n| --- | ---: |\n| ours | 200 |\n| Node & <co> | 210 |"


def test_a_plot_has_a_bar_for_everyone_and_tells_who_cannot_see_it() -> None:
    picture = ET.fromstring(plot.drawn("CPU & all", {"ours": 200.0, "Node & <co>": 2000.0}))
    bars = [float(bar.attrib["width"]) for bar in picture.iter("{http://www.w3.org/2000/svg}rect")]

    assert len(bars) == 2
    assert bars[1] > bars[0]
    assert picture.findtext("{http://www.w3.org/2000/svg}desc") == "ours: 200; Node & <co>: 2,000"


def test_a_run_is_kept_with_its_machine_and_every_figure(tmp_path: Path) -> None:
    file = results.write(Plan(), {"composed-page": REPORT}, datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC), tmp_path)
    kept = json.loads(file.read_text())

    assert file.name == "2026-11-21T010203.json"
    assert kept["scenarios"]["composed-page"] == {"notes": ["a note"], "raw": {"ours": [200.0]}}
    assert {"cpu", "cores", "kernel", "python", "node", "nginx", "commit"} <= set(kept["machine"])
