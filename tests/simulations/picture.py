"""A picture of storms, one line each."""

from collections.abc import Mapping
from typing import Final

from tests.simulations.chart import Chart, Panel, Span
from tests.simulations.storm import BEFORE, CAPACITY, Storm

__all__ = ["drawn"]

_FROM: Final = -BEFORE + 5  # seconds since it went dark, which is shown


def drawn(storms: Mapping[str, Storm]) -> str:
    """Three of them, as long as each other."""
    back, end = (next(iter(storms.values())).back - BEFORE, next(iter(storms.values())).end - BEFORE)
    return Chart(storms, Span(_FROM, end), [Span(0, back)]).drawn(
        f"A service is dark for {back} s",
        "; ".join(f"{name}: {_said(storm)}" for name, storm in storms.items()),
        [
            Panel("Answered, in % of the calls of each second", 100, 25, _answered),
            Panel(f"Attempts a second; the service can do {CAPACITY}", 300, 100, _attempts),
        ],
    )


def _answered(storm: Storm, second: int) -> float:
    return 100 * storm.calls.goodput(BEFORE + second, BEFORE + second + 1)


def _attempts(storm: Storm, second: int) -> float:
    return storm.attempts[BEFORE + second]


def _said(storm: Storm) -> str:
    later = storm.calls.goodput(storm.back + 7, storm.end)
    return f"from 7 s after it is back, {later:.0%} are answered"
