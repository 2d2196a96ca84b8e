"""Three ways to choose among ten instances, on the same calls: what those take, and how many fail."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.simulations.choosers import Chooser, LeastInFlight, Ours, RoundRobin
from tests.simulations.many_instances import WELL, Call, Machine, Trouble, Work, arrivals, lognormal, play

__all__ = ["CASES", "CHOOSERS", "HEADING", "Case", "Outcome", "compare", "table"]

INSTANCES: Final = 10
WORKERS: Final = 4  # calls that each does at a time
MEAN: Final = 0.02  # seconds a call takes, so that all of them can do 2,000 a second
SECONDS: Final = 20
TROUBLE_AT: Final = 5  # seconds

HEADING: Final = "ms: p50 / p99 / p99.9; failed"

CHOOSERS: Final[Mapping[str, Callable[[int], Chooser]]] = {
    "round robin": RoundRobin,
    "least in flight": LeastInFlight,
    "ours": Ours,
}


_EVEN: Final = lognormal(MEAN)
_MOST: Final = lognormal((MEAN - 0.002) / 0.995)


def _uneven(chance: Random) -> float:
    """One call in two hundred takes 400 ms; the mean is the same."""
    return 0.4 if chance.random() < 0.005 else _MOST(chance)


@dataclass(frozen=True)
class Case:
    """What goes on. ``used`` is the share of what all instances could do that is asked for."""

    trouble: Trouble = WELL
    """Of one instance."""

    used: float = 0.6
    work: Work = _EVEN
    unlucky: float = 0.0
    gateways: int = 1

    def calls(self, seconds: float = SECONDS) -> Iterator[Call]:
        """The same ones each time."""
        rate = self.used * INSTANCES * WORKERS / MEAN
        return arrivals(rate, int(rate * seconds), self.work, unlucky=self.unlucky)

    def machines(self) -> list[Machine]:
        """Of which the first one may be in trouble."""
        troubles = [self.trouble, *[WELL] * (INSTANCES - 1)]
        return [Machine(trouble, workers=WORKERS) for trouble in troubles]


CASES: Final[Mapping[str, Case]] = {
    "all are equal": Case(),
    "all are equal, and busy (80 %)": Case(used=0.8),
    "one takes ten times as long": Case(Trouble("slow", TROUBLE_AT)),
    "one answers 500 in 0.1 ms": Case(Trouble("fails", TROUBLE_AT)),
    "one hangs": Case(Trouble("hangs", TROUBLE_AT)),
    "one call in two hundred takes 400 ms": Case(work=_uneven),
    "one call in a thousand fails, wherever it goes; busy (80 %)": Case(used=0.8, unlucky=0.001),
    "two gateways": Case(gateways=2),
    "two gateways, one instance takes ten times as long": Case(Trouble("slow", TROUBLE_AT), gateways=2),
    "five gateways, one instance hangs": Case(Trouble("hangs", TROUBLE_AT), gateways=5),
}


@dataclass(frozen=True)
class Outcome:
    """Milliseconds, of the calls that were answered; and how many were not."""

    p50: float
    p99: float
    p999: float
    failed: int

    def __str__(self) -> str:
        return f"{self.p50:.0f} / {self.p99:.0f} / {self.p999:.0f}; {self.failed}"

    @classmethod
    def read(cls, written: str) -> "Outcome":
        """As it was written."""
        times, _, failed = written.partition(";")
        p50, p99, p999 = map(float, times.split("/"))
        return cls(p50, p99, p999, int(failed))


def compare(case: Case, chooser: str) -> Outcome:
    """What becomes of the calls of a case where each gateway chooses like this."""
    gateways = [CHOOSERS[chooser](INSTANCES) for _ in range(case.gateways)]
    played = play(gateways, case.machines(), case.calls())
    took = played.answered()
    p50, p99, p999 = (1000 * took[int(len(took) * share)] for share in (0.5, 0.99, 0.999))
    return Outcome(p50, p99, p999, played.failed())


def table() -> str:
    """All cases, in Markdown."""
    head = [f"| {HEADING} | {' | '.join(CHOOSERS)} |", "|---" * (len(CHOOSERS) + 1) + "|"]
    rows = (f"| {name} | {' | '.join(str(compare(case, way)) for way in CHOOSERS)} |" for name, case in CASES.items())
    return "\n".join([*head, *rows, ""])
