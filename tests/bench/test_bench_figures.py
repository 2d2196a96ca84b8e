"""From figures of rounds to what is printed."""

import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import plot, results
from bench.contenders import CONTENDERS
from bench.load import Load
from bench.machine import described, python
from bench.plan import Plan
from bench.ratios import Spread, ratios, spread
from bench.report import Report, figure, markdown
from bench.rounds import in_turn
from bench.scenarios import SCENARIOS, composed_page, identity, policies
from bench.scenarios.composed_page import Sample


def test_ratios_are_taken_round_by_round_so_that_a_slow_round_changes_nothing() -> None:
    ours, theirs = [100.0, 300.0, 120.0], [200.0, 600.0, 200.0]

    assert ratios(ours, theirs) == Spread(median=0.5, min=0.5, max=0.6)


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


def test_programs_read_the_same_ratios_by_short_names_of_peers() -> None:
    peers = composed_page.report(SAMPLES, []).summary["peers"]

    assert peers == {
        "node-with-duties": {
            "cpu_ratio": {"median": 0.9, "min": 0.8, "max": 1.0},
            "p99_ratio": {"median": 1.125, "min": 1.0, "max": 1.25},
        },
        "fastapi-httpx": {
            "cpu_ratio": {"median": 0.0075, "min": 0.005, "max": 0.01},
            "p99_ratio": {"median": 0.011, "min": 0.01, "max": 0.012},
        },
    }


def test_every_peer_has_a_short_name_of_its_own() -> None:
    names = [one.slug for one in CONTENDERS]

    assert names == ["bff-core", "node-with-duties", "node", "nginx-lua", "fastapi-aiohttp", "fastapi-httpx"]


TURNS = [
    {"wire": wire, "way": way, "cpu": cpu + lag, "wall": cpu + lag + 1}
    for lag in (0.0, 50.0, 1.0)
    for wire, added in (("network", 4.0), ("memory", 3.0625))
    for way, cpu in (("bare", 10.0), ("typed", 12.0), ("policies", 10.0 + added))
]


def test_what_policies_add_is_the_difference_of_one_round() -> None:
    rows = policies.report(TURNS, []).rows

    assert rows[0] == ["network, cpu", "11.0", "13.0", "15.0", "4.00 (4.00..4.00)", "≤ 4", "2.00 (2.00..2.00)"]
    assert rows[3] == ["memory, wall", "12.0", "14.0", "15.1", "3.06 (3.06..3.06)", "", "1.06 (1.06..1.06)"]


def test_what_policies_add_is_told_of_cpu_and_without_the_noise_of_a_network() -> None:
    assert policies.report(TURNS, []).summary == {"us_per_call": 3.062, "us_of_policies": 1.062}


ASKED = [
    {"way": way, "cpu": cpu + lag}
    for lag in (0.0, 50.0, 1.0)
    for way, cpu in (("nobody is looked at", 198.0), ("anonymous", 200.0), ("bearer", 206.5), ("key", 204.0))
]


def test_what_knowing_who_asks_costs_is_the_difference_to_nobody_in_one_round() -> None:
    told = identity.report(ASKED, [])

    assert told.rows == [
        ["nobody is looked at", "199", "-2.00 (-2.00..-2.00)", ""],
        ["anonymous", "201", "", ""],
        ["bearer", "208", "6.50 (6.50..6.50)", "≤ 8"],
        ["key", "205", "4.00 (4.00..4.00)", "≤ 5"],
    ]
    assert told.summary == {"us_of_bearer": 6.5, "us_of_key": 4.0}


REPORT = Report(
    "A page", ["", "CPU"], [["ours", "200"], ["Node & <co>", "210"]], {"peers": {}}, {"ours": [200.0]}, ["a note"]
)


def test_a_table_is_markdown_too() -> None:
    assert markdown(REPORT) == "|  | CPU |\n| --- | ---: |\n| ours | 200 |\n| Node & <co> | 210 |"


def test_a_plot_has_a_bar_for_everyone_and_tells_who_cannot_see_it() -> None:
    picture = ET.fromstring(plot.drawn("CPU & all", {"ours": 200.0, "Node & <co>": 2000.0}))
    bars = [float(bar.attrib["width"]) for bar in picture.iter("{http://www.w3.org/2000/svg}rect")]

    assert len(bars) == 2
    assert bars[1] > bars[0]
    assert picture.findtext("{http://www.w3.org/2000/svg}desc") == "ours: 200; Node & <co>: 2,000"


NOW = datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)


def test_a_run_is_kept_with_its_machine_and_every_figure(tmp_path: Path) -> None:
    file = results.write(Plan(), {"composed-page": REPORT}, {"cores": 2}, NOW, tmp_path)
    kept = json.loads(file.read_text())

    assert file.name == "2026-11-21T010203.json"
    assert kept["machine"] == {"cores": 2}
    assert kept["scenarios"]["composed-page"] == {"notes": ["a note"], "raw": {"ours": [200.0]}}


def test_what_the_latest_run_came_to_is_kept_apart_and_nothing_of_the_run_before_is(tmp_path: Path) -> None:
    results.write_latest({"composed-page": REPORT, "of-old": REPORT}, {"cores": 1}, NOW, tmp_path)
    file = results.write_latest({"composed-page": REPORT}, {"cores": 2}, NOW, tmp_path)

    assert file.name == "latest.json"
    assert json.loads(file.read_text()) == {
        "machine": {"cores": 2},
        "date": "2026-11-21T01:02:03+00:00",
        "scenarios": {"composed-page": {"peers": {}}},
    }


@pytest.mark.parametrize(
    ("scenarios", "only", "whole"),
    [(SCENARIOS, (), True), (["composed-page"], (), False), (SCENARIOS, ("Node",), False)],
)
def test_a_run_that_left_out_a_scenario_or_a_peer_is_not_the_latest(
    scenarios: Iterable[str], only: tuple[str, ...], whole: bool
) -> None:
    assert results.is_whole(Plan(only=only), dict.fromkeys(scenarios, REPORT)) is whole


def test_a_machine_is_its_cores_what_runs_on_them_and_the_commit() -> None:
    assert set(described()) == {"cpu", "cores", "kernel", "python", "node", "nginx", "commit"}


def test_a_python_is_told_from_another_build_of_its_version() -> None:
    version = ".".join(map(str, sys.version_info[:3]))

    assert re.fullmatch(rf"{re.escape(version)}\S* \(.*[A-Z][a-z]{{2}} \d{{1,2}} \d{{4}}, .+\)", python())
    assert described()["python"] == python()
