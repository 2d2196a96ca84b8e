"""How one instance of an upstream does: how long it takes, how much it has to do, and how often it fails.

Its latency is close to Finagle's peak EWMA: slower answers count at once, faster ones little by little, and what was
not asked for a while is slowly forgiven. Unlike there, one answer or failure makes it half as much again at most, and
only several in a row what they say: that one call in a thousand takes long, or fails, is chance, and where instances
are busy the others cannot do what each such chance would keep from one of them (docs/decisions/0011).
"""

from enum import StrEnum
from math import exp, inf
from typing import Final

from bff_core.wire import Instance

__all__ = ["Standing", "State"]

_DECAY: Final = -10.0  # seconds, below nothing because that is how it is used: in as many, all but 37 % is forgotten
_LEAST: Final = 0.0001  # seconds on top, or what is in flight would not count where nothing is known
_FAILED: Final = 5.0  # seconds: what failures in a row come to, or what fails fast would get all the calls
_MORE: Final = 1.5  # times what is known of it: as slow can one answer make it, or the first failure
_REST: Final = 2.0  # times as long as a failure took is it left alone: what hangs costs much, what refuses nothing
_SURE: Final = 20  # failures in a row: beyond doubt, and 1.5 to the power of more is too much for a float some day


class State(StrEnum):
    """Why an instance gets calls, or none."""

    IN_USE = "in use"
    ELSEWHERE = "elsewhere"
    """Well, in another zone, and not needed."""

    EJECTED = "ejected"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"


class Standing:
    """One instance. Moments are those of one clock, in seconds."""

    __slots__ = (
        *(
            "_at",
            "_latency",
            "answers",
            "back_at",
            "calm_at",
            "ejections",
            "failures",
            "healthy",
            "in_flight",
            "in_row",
        ),
        *("instance", "joined_at", "relative", "reviewed", "times", "weight", "zone"),
    )

    def __init__(self, instance: Instance, *, joined_at: float, now: float, latency: float = 0.0) -> None:
        self.instance = instance
        self.zone, self.weight = "", 1.0
        self.relative = 1.0
        """What it can do just now, beside an ordinary candidate: its weight over the mean of theirs."""
        self.joined_at = joined_at
        self._latency, self._at = latency, now
        self.in_flight = 0
        self.answers = self.failures = self.ejections = 0
        """Since it is known."""
        self.reviewed = (0, 0)
        """Answers and failures as they were at the last review."""
        self.in_row = 0
        """Failures since the last answer."""
        self.calm_at = -inf
        """Until then it is no choice where there are others: its last failure has cost somebody that much time."""
        self.healthy = True
        """Its health checks pass; or there are none."""
        self.back_at = -inf
        """It gets no calls before that moment, because it failed too often."""
        self.times = 0
        """How often that has happened of late, by which the next time is longer."""

    def latency(self, now: float) -> float:
        """What it takes of late, in seconds."""
        return self._latency * exp((now - self._at) / _DECAY)

    def load(self, now: float) -> float:
        """What one more call would have to wait for."""
        if not self._latency and self.in_flight:  # nothing is known but that it has not answered yet: it may hang
            return _FAILED * (self.in_flight / self.relative + 1)
        return (self._latency * exp((now - self._at) / _DECAY) + _LEAST) * (self.in_flight / self.relative + 1)

    def burden(self, now: float) -> float:
        """The same, and what that call is for what it can do: much, where its weight is small. Or it would be given
        what is another's in every moment in which it has nothing to do.
        """
        return self.load(now) + (self.latency(now) + _LEAST) * max(0.0, 1.0 / self.relative - 1.0)

    def answered(self, ran: float, now: float) -> None:
        """What it was given was answered, after ``ran`` seconds."""
        self.in_flight -= 1
        self.answers += 1
        self.in_row = 0
        latency = self._latency
        if ran < latency:
            ran += (latency - ran) * exp((now - self._at) / _DECAY)
        elif latency and ran > latency * _MORE:
            ran = latency * _MORE
        self._latency, self._at = ran, now

    def failed(self, ran: float, now: float, asked_for: float | None) -> None:
        """It failed, and asked for so many seconds, where it said so."""
        self.failures += 1
        self.in_row += 1
        self.calm_at = now + _REST * ran
        self.throttled(ran, now, asked_for)

    def throttled(self, ran: float, now: float, asked_for: float | None) -> None:
        """It asked for time: ``asked_for`` seconds, where it said so."""
        if asked_for:  # its own word, and no chance
            self._slowed(max(ran, asked_for), now, inf)
        else:
            self._slowed(max(ran, _FAILED), now, _MORE ** min(max(self.in_row, 1), _SURE))

    def slowed(self, ran: float, now: float) -> None:
        """It had not answered after ``ran`` seconds."""
        self._slowed(ran, now, _MORE)

    def _slowed(self, ran: float, now: float, most: float) -> None:
        self.in_flight -= 1
        known = self.latency(now)
        if ran >= known:  # who leaves early has proved nothing
            self._latency, self._at = min(ran, known * most) if known else ran, now
