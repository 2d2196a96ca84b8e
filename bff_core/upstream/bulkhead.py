"""How much may be under way at one upstream: the next call is refused at once, because a queue hides an overload."""

from math import sqrt
from typing import Final

from bff_core.errors import Busy
from bff_core.upstream_settings import BulkheadSettings

__all__ = ["AdaptiveBulkhead", "Bulkhead", "bulkhead"]

_TOLERANCE: Final = 1.5  # times the usual latency before there is said to be a queue
_SAMPLES: Final = 50  # answers from one correction of the limit to the next, at least
_USUAL: Final = 0.05  # the weight of the last sample in what is usual: about the last twenty count
_LONG: Final = 30.0  # seconds in a queue before what is usual is measured anew
_SMOOTH: Final = 0.2  # the weight of the newest limit


class Bulkhead:
    """At most ``limit`` attempts at once."""

    __slots__ = ("_upstream", "in_flight", "limit")

    def __init__(self, upstream: str, limit: int) -> None:
        self._upstream, self.limit = upstream, limit
        self.in_flight = 0

    def admit(self) -> None:
        """Raises ``Busy`` where there is no room for one more."""
        if self.in_flight >= self.limit:
            raise Busy(self._upstream, f"{self.limit} calls are under way")

    def enter(self) -> None:
        """Take the room."""
        self.in_flight += 1

    def leave(self) -> None:
        """Give it back, however the attempt ended."""
        self.in_flight -= 1

    def answered(self, ran: float) -> None:
        """An attempt was answered, after ``ran`` seconds."""

    @property
    def half_full(self) -> bool:
        """There is better use for what room there is than a second attempt at anything."""
        return self.in_flight * 2 > self.limit


class AdaptiveBulkhead(Bulkhead):
    """Follows the latency: what takes longer than usual is standing in a queue, and so fewer are let in.

    The gradient of Netflix's concurrency-limits, as Envoy has it too: the limit is multiplied by usual latency over
    current latency, a half to one, and grows by its square root, as long as it is used. What takes longer because the
    limit is used is not usual, or an overload that lasts would soon be; instead, as in Envoy, after a while in a queue
    only ``least`` are let in for some fifty answers, to see how long it takes without one.
    """

    __slots__ = ("_answers", "_exact", "_ignored", "_least", "_measuring", "_most", "_queued", "_sum", "_usual")

    def __init__(self, upstream: str, settings: BulkheadSettings) -> None:
        super().__init__(upstream, settings.limit)
        self._least, self._most = settings.least, settings.most
        self._exact = float(settings.limit)
        self._usual: float | None = None
        self._sum = 0.0
        self._answers = self._ignored = 0
        self._queued = 0.0
        self._measuring = False

    def answered(self, ran: float) -> None:
        """Correct the limit, once enough have answered."""
        if self._ignored:
            # sent before the limit was lowered, or just behind those that were
            self._ignored -= self.in_flight < self.limit
            return
        self._sum += ran
        self._answers += 1
        if self._answers < max(_SAMPLES, self.limit):
            return
        current, used = self._sum / self._answers, self.in_flight * 2 >= self.limit
        lasted = self._sum / self.limit  # by Little's law, where the limit is used
        self._sum, self._answers = 0.0, 0
        if self._measuring:
            self._measuring, self._queued, self._usual = False, 0.0, current
        else:
            self._correct(current, self._learn(current, used=used), lasted, used=used)
        self.limit = round(self._exact)
        if self._queued >= _LONG:
            self._measuring, self._ignored, self.limit = True, self._least, self._least

    def _learn(self, current: float, *, used: bool) -> float:
        usual = current if self._usual is None else self._usual
        if current <= usual or not used:
            usual += _USUAL * (current - usual)
        # after a long queue what is usual is too much, and would let the next one be as long
        self._usual = usual = usual if usual <= 2 * current else usual * 0.95
        return usual

    def _correct(self, current: float, usual: float, lasted: float, *, used: bool) -> None:
        fast = current <= _TOLERANCE * usual
        gradient = 1.0 if fast else max(0.5, _TOLERANCE * usual / current)
        self._queued = max(0.0, self._queued + (lasted if used and not fast else -lasted))
        if fast and not used:
            return
        wanted = self._exact * gradient + sqrt(self._exact)
        self._exact += _SMOOTH * (min(max(wanted, self._least), self._most) - self._exact)


def bulkhead(upstream: str, settings: BulkheadSettings) -> Bulkhead:
    """The one that is asked for."""
    return AdaptiveBulkhead(upstream, settings) if settings.adaptive else Bulkhead(upstream, settings.limit)
