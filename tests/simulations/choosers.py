"""Three ways to choose among instances, told of each call when it ends: ours, and the two that everyone knows."""

import random
from collections.abc import Sequence
from typing import Protocol

from bff_core.discovery import Member
from bff_core.upstream.balance import Balancer
from bff_core.upstream.standing import Standing
from bff_core.upstream.verdict import Verdict
from bff_core.upstream_settings import EjectionSettings
from bff_core.wire import Instance

__all__ = ["NO_EJECTION", "Chooser", "LeastInFlight", "Ours", "RoundRobin", "members"]

NO_EJECTION = EjectionSettings(share=0)


class Chooser(Protocol):
    """Knows instances by their number, from 0 on."""

    def pick(self, now: float) -> int:
        """Where the next call goes."""
        ...

    def ended(self, number: int, verdict: Verdict, ran: float, now: float) -> None:
        """A call that went there ended so, after ``ran`` seconds."""
        ...


class RoundRobin:
    """One after the other."""

    def __init__(self, count: int) -> None:
        self._count, self._next = count, random.randrange(count)  # gateways do not start together

    def pick(self, now: float) -> int:
        self._next = (self._next + 1) % self._count
        return self._next

    def ended(self, number: int, verdict: Verdict, ran: float, now: float) -> None:
        """It learns nothing."""


class LeastInFlight:
    """The one that has the fewest calls of ours, looking at all of them; by chance where several have as few."""

    def __init__(self, count: int) -> None:
        self._in_flight = [0] * count

    def pick(self, now: float) -> int:
        least = min(self._in_flight)
        number = random.choice([place for place, calls in enumerate(self._in_flight) if calls == least])
        self._in_flight[number] += 1
        return number

    def ended(self, number: int, verdict: Verdict, ran: float, now: float) -> None:
        self._in_flight[number] -= 1


class Ours:
    """``Balancer``. An instance's port is its number."""

    def __init__(
        self,
        instances: int | Sequence[Member],
        ejection: EjectionSettings = EjectionSettings(),  # noqa: B008  it is frozen
        *,
        zone: str = "",
        slow_start: float = 0.0,
    ) -> None:
        self.balancer = Balancer("shop", ejection, zone=zone, slow_start=slow_start)
        self.balancer.update(members(instances) if isinstance(instances, int) else instances, 0.0)
        self._given: dict[int, Standing] = {}

    def pick(self, now: float) -> int:
        standing = self.balancer.pick(now)
        number = standing.instance.port
        self._given[number] = standing
        return number

    def ended(self, number: int, verdict: Verdict, ran: float, now: float) -> None:
        if verdict is Verdict.SUCCESS:
            self._given[number].answered(ran, now)
        else:
            self.balancer.failed(self._given[number], verdict, ran, now, None)


def members(count: int, zones: Sequence[str] = ("",), weights: Sequence[float] = (1.0,)) -> list[Member]:
    """So many; zones and weights go round."""
    return [
        Member(
            Instance("shop", "http", "shop.test", number), zones[number % len(zones)], weights[number % len(weights)]
        )
        for number in range(count)
    ]
