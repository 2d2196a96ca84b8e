"""Nobody is measured who does another work than the others."""

import json
from pathlib import Path

import pytest

from bench.answer import check
from bench.contenders import CONTENDERS, OURS
from bench.cpu import CpuTime, spent_by
from bench.load import Void
from bench.page.items import Item
from bench.peers import models
from bench.scenarios.composed_page import check_calls

ITEM = Path(__file__).parents[2] / "bench/upstream/item.json"
EXPECTED = b'{"a":1,"b":[2,3]}'


@pytest.mark.parametrize("body", [b'{"a":1,"b":[2,4]}', b'{"a": 1,"b":[2,3]}', b"", b'{"b":[2,3],"a":1}'])
def test_other_bytes_are_another_answer(body: bytes) -> None:
    with pytest.raises(Void, match="Node: answers something else than the others"):
        check("Node", body, EXPECTED, ordered=True)


def test_the_same_bytes_are_the_same_answer() -> None:
    check("Node", EXPECTED, EXPECTED, ordered=True)


def test_whoever_cannot_order_members_may_have_them_in_any_order() -> None:
    check("nginx", b'{"b":[2,3],"a":1}', EXPECTED, ordered=False)


@pytest.mark.parametrize(
    "body", [b'{"b":[3,2],"a":1}', b'{"b":[2,3], "a":1}', b'{"b":[2,3],"a":1', b'{"b":[2,3],"c":1}']
)
def test_and_everything_else_is_checked_all_the_same(body: bytes) -> None:
    with pytest.raises(Void):
        check("nginx", body, EXPECTED, ordered=False)


@pytest.mark.parametrize("calls", [7 * 1000, 7 * 1000 + 7 * 32])
def test_seven_calls_a_page_and_those_of_pages_that_wrk_left(calls: int) -> None:
    check_calls("Node", calls, pages=1000)


def test_a_run_without_pages_is_void() -> None:
    with pytest.raises(Void, match="Node: the run is void: not one page"):
        check_calls("Node", 7, pages=0)


@pytest.mark.parametrize("calls", [7 * 1000 - 1, 7 * 1100])
def test_whoever_saves_a_call_or_repeats_many_is_void(calls: int) -> None:
    with pytest.raises(Void, match="calls for 1000 pages of 7"):
        check_calls("Node", calls, pages=1000)


def test_the_upstream_answers_330_bytes_that_every_model_keeps_whole() -> None:
    body = ITEM.read_bytes()

    assert len(body) == 330
    assert Item.model_validate_json(body).model_dump_json().encode() == body
    assert models.Item.model_validate_json(body).model_dump_json().encode() == body
    assert json.dumps(json.loads(body), separators=(",", ":")).encode() == body


def test_whoever_is_absent_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    missing = {one.name: one.missing() for one in CONTENDERS}
    assert missing["Node, bare"] == "apt-get install nodejs npm"
    assert missing["nginx + Lua, bare"] == "apt-get install nginx libnginx-mod-http-lua lua-cjson"
    assert missing[OURS.name] is None


def test_a_process_is_charged_with_what_it_started(tmp_path: Path) -> None:
    ticks = CpuTime(1.0, 0.0)
    for number, parent, name in ((10, 1, "(gateway)"), (11, 10, "(a (bad) name)"), (12, 11, "(w)"), (13, 1, "(other)")):
        (tmp_path / str(number)).mkdir()
        fields = ["S", parent, *[0] * 9, 100, 50, 7, 3]  # proc(5): utime, stime, cutime, cstime are 14 to 17
        (tmp_path / str(number) / "stat").write_text(" ".join(map(str, [number, name, *fields])))
    spent = spent_by(10, tmp_path)

    assert (spent - ticks).user == pytest.approx(3 * 1.07 - 1.0)
    assert spent.system == pytest.approx(3 * 0.53)
