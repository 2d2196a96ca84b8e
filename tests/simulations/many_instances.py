"""Calls to many instances, in moments that are passed in and by no loop, so that a million of them take seconds."""

import random
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush, heapreplace
from math import inf
from random import Random
from typing import Literal, NamedTuple

from bff_core.upstream.verdict import Verdict
from tests.simulations.choosers import Chooser

__all__ = ["WELL", "Call", "Machine", "Played", "Trouble", "Work", "arrivals", "exponential", "lognormal", "play"]

QUICK = 0.0001  # seconds until a 500 is there
TIMEOUT = 0.5  # seconds, of a call

Work = Callable[[Random], float]
"""How many seconds the next call takes, where it does not wait and nothing is wrong."""


def lognormal(mean: float) -> Work:
    """Most take about as long as each other."""
    return lambda chance: mean * chance.lognormvariate(-0.125, 0.5)


def exponential(mean: float) -> Work:
    """Many take little, and some five times the mean."""
    return lambda chance: chance.expovariate(1 / mean)


class Call(NamedTuple):
    """When it comes, what it takes, and whether it ends in a 500 wherever it goes."""

    moment: float
    work: float
    unlucky: bool


@dataclass(frozen=True)
class Trouble:
    """From ``start`` to ``end`` an instance takes ten times as long, or answers 500 at once, or not at all."""

    how: Literal["slow", "fails", "hangs"]
    start: float = 0.0
    end: float = inf


WELL = Trouble("slow", start=inf)


class Machine:
    """An instance that does ``workers`` calls at a time, the next ones after these; or, with 0, all at once.

    Work is done for those too who have left.
    """

    def __init__(self, trouble: Trouble = WELL, *, workers: int = 0) -> None:
        self._trouble = trouble
        self._free = [0.0] * workers

    def end(self, call: Call) -> tuple[float, Verdict]:
        """When it is answered, and how."""
        trouble, (now, work, unlucky) = self._trouble, call
        if trouble.start <= now < trouble.end:
            if trouble.how == "hangs":
                return inf, Verdict.FAILURE
            if trouble.how == "fails":
                return now + QUICK, Verdict.LASTING
            work *= 10
        verdict = Verdict.LASTING if unlucky else Verdict.SUCCESS
        if not self._free:
            return now + work, verdict
        end = max(now, self._free[0]) + work
        heapreplace(self._free, end)
        return end, verdict


@dataclass
class Played:
    """What became of the calls, in the order in which they came."""

    moments: "array[float]" = field(default_factory=lambda: array("d"))
    numbers: "array[int]" = field(default_factory=lambda: array("i"))
    """Of the instance that each went to."""

    took: "array[float]" = field(default_factory=lambda: array("d"))
    """Seconds, and infinity for those that failed."""

    def calls(self, start: float = 0.0, end: float = inf) -> Counter[int]:
        """How many of those that came in this time went to each."""
        return Counter(
            number for moment, number in zip(self.moments, self.numbers, strict=True) if start <= moment < end
        )

    def share(self, number: int, *, of: int, after: int = 0) -> float:
        """What one of so many got, where 1 is as much as all others get; without the first ``after`` calls."""
        later = self.numbers[after:]
        return later.count(number) * of / len(later)

    def answered(self, start: float = 0.0, end: float = inf) -> list[float]:
        """What those took that came in this time and were answered, shortest first."""
        return sorted(
            took for moment, took in zip(self.moments, self.took, strict=True) if took < inf and start <= moment < end
        )

    def failed(self, start: float = 0.0, end: float = inf) -> int:
        """How many of those that came in this time were not."""
        return sum(took == inf and start <= moment < end for moment, took in zip(self.moments, self.took, strict=True))


def arrivals(rate: float, calls: int, work: Work, *, unlucky: float = 0.0, seed: int = 1) -> Iterator[Call]:
    """So many calls, so many a second, by chance and the same ones each time."""
    chance, moment = Random(seed), 0.0
    for _ in range(calls):
        moment += chance.expovariate(rate)
        yield Call(moment, work(chance), unlucky > 0 and chance.random() < unlucky)


def play(
    choosers: Sequence[Chooser],
    machines: Sequence[Machine],
    calls: Iterable[Call],
    *,
    events: Sequence[tuple[float, Callable[[], object]]] = (),
    seed: int = 1,
) -> Played:
    """Let each call go where one of the choosers says, each of which is a gateway. Events happen at their moments."""
    # not from what calls are drawn from, or where one goes would hang together with what it takes
    random.seed(f"choosers {seed}")
    gateways, played = Random(f"gateways {seed}"), Played()
    under_way: list[tuple[float, int, Chooser, int, Verdict, float]] = []
    to_come = list(events)
    for count, call in enumerate(calls):
        now = call.moment
        while to_come and to_come[0][0] <= now:
            to_come.pop(0)[1]()
        while under_way and under_way[0][0] <= now:
            end, _, chooser, number, verdict, start = heappop(under_way)
            chooser.ended(number, verdict, end - start, end)
        chooser = choosers[0] if len(choosers) == 1 else gateways.choice(choosers)
        number = chooser.pick(now)
        end, verdict = machines[number].end(call)
        if end - now > TIMEOUT:
            end, verdict = now + TIMEOUT, Verdict.FAILURE
        played.moments.append(now)
        played.numbers.append(number)
        played.took.append(end - now if verdict is Verdict.SUCCESS else inf)
        heappush(under_way, (end, count, chooser, number, verdict, now))
    return played
