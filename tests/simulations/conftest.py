"""What every simulation stands on: chance that is the same each time, and a log that says little."""

import logging
import random

import pytest


@pytest.fixture(autouse=True)
def _drawn_from_a_seed() -> None:
    random.seed(1)  # from which the policies draw pauses and rests


@pytest.fixture(autouse=True)
def _thousands_of_expected_failures(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "bff")
