"""The guide to adding a policy is true: its code is run, in order, and so is every test in it."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from bff_core.testing import run
from bff_core.upstream import Upstream
from bff_core.upstream.bulkhead import Bulkhead, bulkhead
from bff_core.upstream_settings import BulkheadSettings
from tests.docs.reading import DOCS

GUIDE = DOCS / "adding-a-policy.md"


def read() -> dict[str, Any]:
    """What the code of the guide defines."""
    text = GUIDE.read_text()
    found: dict[str, Any] = {"__name__": "adding_a_policy"}
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        above = text.count("\n", 0, block.start(1))
        exec(compile("\n" * above + block[1], GUIDE, "exec"), found)  # so that a traceback names lines of the guide
    return found


TESTS = [name for name in read() if name.startswith("test_")]


def hold(test: Callable[[], Any]) -> None:
    if inspect.iscoroutinefunction(test):
        run(test())
    else:
        test()


@pytest.mark.parametrize("name", TESTS)
def test_what_the_guide_says_holds(name: str) -> None:
    hold(read()[name])


@pytest.mark.parametrize("name", TESTS)
def test_it_holds_of_the_bulkhead_that_there_is(name: str) -> None:
    guide = read()
    guide["Bulkhead"], guide["BulkheadSettings"] = Bulkhead, BulkheadSettings
    hold(guide[name])


def test_its_property_finds_a_leak() -> None:
    guide = read()
    guide["Guarded"] = guide["Leaking"]
    with pytest.raises(AssertionError):
        hold(guide["test_room_comes_back_however_and_whenever_attempts_end"])


def test_the_guide_has_a_test_for_each_of_its_steps() -> None:
    assert len(TESTS) == 7
    prose = re.sub(r"^```.*?^```$", "", GUIDE.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert len(prose.split()) < 1000, "two pages, without the code"


def test_the_bulkhead_that_comes_without_being_asked_for_is_that_of_the_guide() -> None:
    found = bulkhead("catalog", BulkheadSettings())

    assert type(found) is Bulkhead
    assert found.limit == read()["BulkheadSettings"]().limit
    assert {"admit", "enter", "leave", "in_flight", "limit"} <= set(dir(found)) | set(vars(read()["Bulkhead"]))


def test_the_lines_in_the_life_of_a_call_are_where_the_guide_says() -> None:
    admit, ended = inspect.getsource(Upstream._admit), inspect.getsource(Upstream._ended)
    asked = ("self.latency.admit(", "self.bulkhead.admit(", "self.circuit.admit(", "self.bulkhead.enter(")

    places = [admit.index(line) for line in asked]
    assert places == sorted(places)
    assert "self.bulkhead.leave(" in ended
