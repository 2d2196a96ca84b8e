"""Ten instances of which one turns slow, and one fails too: what clients see of it, second by second, and a picture."""

from collections.abc import Mapping
from math import inf
from typing import Final

from tests.simulations.chart import Chart, Panel, Span
from tests.simulations.comparison import CHOOSERS, Case
from tests.simulations.many_instances import Machine, Trouble, play

__all__ = ["END", "FAILS", "SLOW", "Seconds", "drawn", "trouble"]

SLOW: Final = Span(10, 40)
FAILS: Final = Span(25, 40)
END: Final = 60


class Seconds:
    """What became of the calls of each second. Those that failed took for ever."""

    def __init__(self) -> None:
        self._took: list[list[float]] = [[] for _ in range(END)]

    def add(self, moment: float, took: float) -> None:
        """One more."""
        if moment < END:
            self._took[int(moment)].append(took)

    def p99(self, second: int) -> float:
        """Milliseconds, of those that were answered."""
        answered = sorted(took for took in self._took[second] if took < inf)
        return 1000 * answered[int(len(answered) * 0.99)]

    def failed(self, second: int) -> float:
        """In % of all."""
        return 100 * self._took[second].count(inf) / len(self._took[second])


def trouble(chooser: str) -> Seconds:
    """With instances chosen like this."""
    troubles = [Trouble("slow", *SLOW), Trouble("fails", *FAILS)]
    machines = [*(Machine(one, workers=4) for one in troubles), *(Machine(workers=4) for _ in range(8))]
    played = play([CHOOSERS[chooser](10)], machines, Case().calls(END + 1))
    seconds = Seconds()
    for moment, took in zip(played.moments, played.took, strict=True):
        seconds.add(moment, took)
    return seconds


def drawn(three: Mapping[str, Seconds]) -> str:
    """One line for each."""
    return Chart(three, Span(0, END), [SLOW, FAILS]).drawn(
        f"Of ten instances one is slow from {SLOW.start} to {SLOW.end} s, and another fails from {FAILS.start} s on",
        "; ".join(f"{name}: {_said(seconds)}" for name, seconds in three.items()),
        [
            Panel("99 of 100 answers took at most so many ms", 250, 50, Seconds.p99),
            Panel("Failed, in % of the calls of each second", 100, 25, Seconds.failed),
        ],
    )


def _said(seconds: Seconds) -> str:
    both = range(FAILS.start + 2, FAILS.end)
    slowest, most = max(map(seconds.p99, both)), max(map(seconds.failed, both))
    return f"while both are in trouble, a p99 of up to {slowest:.0f} ms, and up to {most:.0f} % fail"
