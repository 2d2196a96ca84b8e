"""What is said of balancing is so: its tables, and the figures of the comparison."""

import logging
import tomllib

import pytest
from pydantic_core import PydanticUndefined

from bff_core.upstream.balance import Balancer
from bff_core.upstream.standing import State
from bff_core.upstream_settings import CheckSettings, EjectionSettings
from tests.docs.reading import DOCS, rows
from tests.simulations.choosers import members
from tests.simulations.comparison import CASES, CHOOSERS, HEADING, Outcome, compare

PAGE = DOCS / "policies/balancing.md"
SAID = {name: dict(zip(CHOOSERS, cells, strict=True)) for name, *cells in rows(PAGE, HEADING)}


def test_every_setting_of_a_check_is_documented_with_its_default() -> None:
    said = {key.strip("`"): default.strip("`") for key, default, _ in rows(PAGE, "of a check")}

    assert set(said) == set(CheckSettings.model_fields)
    plain = CheckSettings(path="/")
    for key, default in said.items():
        if default:
            written = CheckSettings.model_validate({"path": "/", **tomllib.loads(f"{key} = {default}")})
            assert getattr(written, key) == getattr(plain, key), key
        else:
            assert CheckSettings.model_fields[key].default is PydanticUndefined


def test_all_that_operators_see_of_an_instance_is_documented_and_every_state() -> None:
    balancer = Balancer("shop", EjectionSettings())
    balancer.update(members(1), 0.0)

    table = rows(PAGE, "of an instance")
    assert {name.strip("` ") for cell, _ in table for name in cell.split(",")} == set(balancer.facts(0.0)[0])
    (states,) = [row[1] for row in table if row[0] == "`state`"]
    assert all(f"`{state}`" in states for state in State)


def test_the_table_has_every_case() -> None:
    assert list(SAID) == list(CASES)


@pytest.mark.parametrize("chooser", CHOOSERS)
@pytest.mark.parametrize("case", CASES)
def test_the_table_is_true(case: str, chooser: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not to the last call, because the last bit of another machine's ``exp`` sends one elsewhere, and all after it."""
    caplog.set_level(logging.ERROR, "bff")
    said, true = Outcome.read(SAID[case][chooser]), compare(CASES[case], chooser)

    assert true.p50 == pytest.approx(said.p50, abs=1)
    assert true.p99 == pytest.approx(said.p99, rel=0.15)
    assert true.p999 == pytest.approx(said.p999, rel=0.5)
    assert true.failed == pytest.approx(said.failed, abs=5, rel=0.05)
