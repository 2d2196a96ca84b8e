"""Which instance of an upstream gets the next attempt: the better one of two that chance has chosen.

Power of two choices over peak EWMA latency x in-flight, as in Finagle. Looking at two is nearly as good as looking at
all, costs the same for ten as for a thousand, and gateways that know the same do not all run to the same instance.
"""

import logging
from bisect import bisect
from collections.abc import Callable, Sequence, Set
from itertools import accumulate
from math import inf
from random import random, sample
from statistics import median
from typing import Any, Final

from bff_core.discovery import Member
from bff_core.errors import NoInstance
from bff_core.upstream.outlier import Outliers
from bff_core.upstream.standing import Standing, State
from bff_core.upstream.verdict import Verdict
from bff_core.upstream_settings import EjectionSettings
from bff_core.wire import Connections, Instance

__all__ = ["Balancer"]

_log = logging.getLogger("bff.upstream")

_REVIEW: Final = 10.0  # seconds from one look at everyone's success rate to the next
_STEP: Final = 0.1  # of a slow start, from one look at it to the next
_LEAST: Final = 0.1  # of its weight: what a slow start begins with
_ENOUGH: Final = 0.7  # of those in our zone that must be well, or the others are asked too
_AVOIDED: Final = 2  # failures in a row; one alone is chance
_MORE: Final = 4  # of how many one is chosen where two are not enough
_PANIC: Final = 0.5  # of all that must be well, or all are asked
_MARGIN: Final = 3.0  # times as much must one have to do as another, before weights do not count


class Balancer:
    """The instances of one upstream, as they are known at a moment.

    Who gets one from ``pick`` tells it how that went: ``Standing.answered``, or ``failed`` here.
    """

    def __init__(self, upstream: str, ejection: EjectionSettings, *, zone: str = "", slow_start: float = 0.0) -> None:
        self._upstream, self._zone, self._slow_start = upstream, zone, slow_start
        self._outliers = Outliers(ejection)
        self._all: dict[Instance, Standing] = {}
        self._draining: list[Standing] = []
        self._candidates: list[Standing] = []
        self._well: list[Standing] = []
        """In all zones."""
        self._shares: list[float] = []
        """Of the candidates, each with those before it; empty where all have the same."""
        self._next_look = self._reviewed_at = -inf
        self._out = 0
        self.panic = False
        """So few are well that all are asked."""

    def pick(self, now: float, tried: Sequence[Standing] = ()) -> Standing:
        """One for an attempt, and none of those ``tried`` where there is another. Raises ``NoInstance``."""
        if now >= self._next_look:
            self._look(now)
        candidates = self._candidates
        count = len(candidates)
        if count > 1:
            if self._shares:
                one, other = self._by_weight()
                other_is_better = other.burden(now) * _MARGIN < one.load(now)
            else:
                place, next_place = int(random() * count), int(random() * (count - 1))  # noqa: S311  no secret
                one, other = candidates[place], candidates[next_place + (next_place >= place)]
                other_is_better = other.load(now) < one.load(now)
            if tried or one.in_row or other.in_row:
                chosen = self._best_of_more(now, tried)
            else:
                chosen = other if other_is_better else one
        elif count:
            chosen = self._best_of_more(now, tried) if tried else candidates[0]
        else:
            raise NoInstance(self._upstream, "no instance of it is known")
        chosen.in_flight += 1
        return chosen

    def failed(self, standing: Standing, verdict: Verdict, ran: float, now: float, asked_for: float | None) -> None:
        """What it was given was not answered; ``asked_for`` is the time that it asked for, in seconds."""
        if verdict.counts_as == "failure":
            standing.failed(ran, now, asked_for)
            if standing.back_at > now:  # given before it was left alone: when it is back, that is over
                standing.in_row = 0
            elif self._outliers.has_failed(standing):
                if now >= self._next_look:  # or who is back would count as left alone
                    self._look(now)
                self._eject(standing, now, f"{standing.in_row} failures in a row")
        elif verdict is Verdict.THROTTLED:
            standing.throttled(ran, now, asked_for)
        else:
            standing.slowed(ran, now)

    def update(self, members: Sequence[Member], now: float) -> list[Instance]:
        """These are the instances from now on. Who was known stays known; gives those that are gone, which finish what
        they have been given.
        """
        before = self._all
        gone = before | {standing.instance: standing for standing in self._draining}
        wanted = {member.instance: member for member in members}
        known = gone | self._newcomers([instance for instance in wanted if instance not in gone], now)
        self._all = {instance: known[instance] for instance in wanted}
        for instance, standing in self._all.items():
            standing.zone, standing.weight = wanted[instance].zone, wanted[instance].weight
        self._draining = [gone[instance] for instance in gone if instance not in wanted and gone[instance].in_flight]
        self._sort(now)
        return [instance for instance in before if instance not in wanted]

    def checked(self, instance: Instance, now: float, *, healthy: bool) -> None:
        """Its health checks say so."""
        standing = self._all.get(instance)
        if standing is not None and standing.healthy != healthy:
            standing.healthy = healthy
            _log.warning("%s: %s is %s", self._upstream, instance, "healthy again" if healthy else "unhealthy")
            self._sort(now)

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All that are known."""
        return tuple(self._all)

    def knows(self, instance: Instance) -> bool:
        """It is one of them."""
        return instance in self._all

    def facts(
        self, now: float, connections: Callable[[Instance], Connections | None] = lambda _: None
    ) -> list[dict[str, Any]]:
        """How each instance does, for operators. Seconds, and numbers since it is known."""
        if now >= self._next_look:  # nobody has called since, and somebody may be back
            self._look(now)
        self._draining = [standing for standing in self._draining if standing.in_flight]
        candidates = set(self._candidates)
        return [
            _facts(standing, self._state(standing, candidates, now), connections(standing.instance), now)
            for standing in (*self._all.values(), *self._draining)
        ]

    def _best_of_more(self, now: float, tried: Sequence[Standing]) -> Standing:
        """The best of four, because of two that are bad the better one is bad too.

        None of those tried, or else not the last of them; and none that has just cost somebody much time.
        """
        drawn = (
            _drawn(self._candidates, tried)
            or _drawn(self._well, tried)  # in another zone
            or _drawn(self._candidates, tried[-1:])
            or self._candidates
        )
        calm = [standing for standing in drawn if standing.calm_at <= now]
        return min(calm or drawn, key=lambda standing: standing.burden(now))

    def _look(self, now: float) -> None:
        since = self._reviewed_at
        if now < since + _REVIEW:
            self._sort(now)
        else:
            self._reviewed_at = now
            self._sort(now)  # before the review, or who is back would count as left alone
            self._review(since, now)

    def _review(self, since: float, now: float) -> None:
        everyone = list(self._all.values())
        for standing in self._outliers.stand_out(everyone):
            self._eject(standing, now, "it fails more often than the others")
        for standing in everyone:
            self._outliers.reviewed(standing, since, now)

    def _eject(self, standing: Standing, now: float, why: str) -> None:
        if standing.back_at > now or self._out >= self._outliers.most(len(self._all)):
            return
        if self._all.get(standing.instance) is not standing:  # it is draining
            return
        rest = self._outliers.eject(standing, now)
        _log.warning("%s: %s is left alone for %.0f s: %s", self._upstream, standing.instance, rest, why)
        self._sort(now)

    def _sort(self, now: float) -> None:
        """Work out who is asked, for as long as nothing changes."""
        everyone = list(self._all.values())
        present = [standing for standing in everyone if standing.back_at <= now]
        self._out = len(everyone) - len(present)
        self._well = well = [standing for standing in present if standing.healthy]
        self.panic = len(well) < _PANIC * len(everyone)
        self._candidates = everyone if self.panic else self._near(everyone, well)
        self._weigh(now)
        warming = now + _STEP * self._slow_start if any(now < self._warm_at(found) for found in everyone) else inf
        self._next_look = min(
            self._reviewed_at + _REVIEW, warming, *(out.back_at for out in everyone if out.back_at > now)
        )

    def _weigh(self, now: float) -> None:
        weights = [self._weight(standing, now) for standing in self._candidates]
        self._shares = list(accumulate(weights)) if len(set(weights)) > 1 else []
        for standing, weight in zip(self._candidates, weights, strict=True):
            standing.relative = weight * len(weights) / self._shares[-1] if self._shares else 1.0

    def _near(self, everyone: Sequence[Standing], well: list[Standing]) -> list[Standing]:
        here = sum(standing.zone == self._zone for standing in everyone) if self._zone else 0
        near = [standing for standing in well if standing.zone == self._zone] if here else []
        # who fails is avoided long before it is ejected, and is then one of those that do the work only by name
        at_work = sum(standing.in_row < _AVOIDED for standing in near)
        return near if here and at_work >= _ENOUGH * here else well

    def _weight(self, standing: Standing, now: float) -> float:
        if now >= self._warm_at(standing):
            return standing.weight
        return standing.weight * max(_LEAST, (now - standing.joined_at) / self._slow_start)

    def _warm_at(self, standing: Standing) -> float:
        return standing.joined_at + self._slow_start

    def _newcomers(self, instances: Sequence[Instance], now: float) -> dict[Instance, Standing]:
        if not self._all:  # where all are new, nobody is
            return {instance: Standing(instance, joined_at=-inf, now=now) for instance in instances}
        # taken for an ordinary one, or it would get every call; and who has failed last is none
        well = [known.latency(now) for known in self._candidates if not known.in_row] if instances else []
        usual = median(well) if well else 0.0
        return {instance: Standing(instance, joined_at=now, now=now, latency=usual) for instance in instances}

    def _by_weight(self) -> tuple[Standing, Standing]:
        """Two of the candidates, each as likely as it has weight."""
        shares, candidates = self._shares, self._candidates
        place = bisect(shares, random() * shares[-1], hi=len(shares) - 1)  # noqa: S311  no secret
        before = shares[place - 1] if place else 0.0
        own = shares[place] - before
        rest = random() * (shares[-1] - own)  # noqa: S311  as if that one were not there
        other = bisect(shares, rest if rest < before else rest + own, hi=len(shares) - 1)
        if other == place:  # as floats have it
            other = place - 1 if place else 1
        return candidates[place], candidates[other]

    def _state(self, standing: Standing, candidates: Set[Standing], now: float) -> State:
        if self._all.get(standing.instance) is not standing:
            return State.DRAINING
        if not standing.healthy:
            return State.UNHEALTHY
        if standing.back_at > now:
            return State.EJECTED
        return State.IN_USE if standing in candidates else State.ELSEWHERE


def _drawn(standings: Sequence[Standing], tried: Sequence[Standing]) -> list[Standing]:
    """Four that were not tried, or as many as there are."""
    drawn = sample(standings, min(_MORE + len(tried), len(standings)))
    return [standing for standing in drawn if standing not in tried][:_MORE]


def _facts(standing: Standing, state: State, connections: Connections | None, now: float) -> dict[str, Any]:
    known = standing.answers + standing.failures
    connected, sent_again = connections or (None, None)
    return {
        "address": str(standing.instance),
        "zone": standing.zone,
        "weight": standing.weight,
        "state": state.value,
        "latency": round(standing.latency(now), 4) if known else None,
        "in_flight": standing.in_flight,
        "connections": connected,
        "sent_again": sent_again,
        "calls": known,
        "failures": standing.failures,
        "ejections": standing.ejections,
        "back_in": round(standing.back_at - now, 1) if standing.back_at > now else None,
    }
