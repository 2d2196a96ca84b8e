"""Which instances are left alone for a while, because they fail where others do not: outlier detection, as in Envoy."""

import random
from collections.abc import Sequence
from math import sqrt
from typing import Final

from bff_core.upstream.standing import Standing
from bff_core.upstream_settings import EjectionSettings

__all__ = ["COMPARED", "Outliers"]

COMPARED: Final = 5
"""Instances with enough calls there must be, or their success rates are not compared."""

_SPREAD: Final = 0.1  # of the rest, either way, so that what failed together does not come back together
_FORGIVEN: Final = 10.0  # seconds for each time that it was left alone
_NEAR: Final = 0.02  # below the mean: a success rate that is nobody's concern, however alike the others are
_ROUNDING: Final = 1e-9


class Outliers:
    """Decides, and tells nobody: who asks leaves them alone, and sees to it that enough are left."""

    __slots__ = ("_settings",)

    def __init__(self, settings: EjectionSettings) -> None:
        self._settings = settings

    def has_failed(self, standing: Standing) -> bool:
        """It has failed too often in a row."""
        return standing.in_row >= self._settings.failures

    def stand_out(self, standings: Sequence[Standing]) -> list[Standing]:
        """Those whose success rate since the last review is far below that of all, worst first.

        Far is 1.9 standard deviations below the mean, of those with enough calls, where these are five or more.
        """
        settings = self._settings
        rates = [
            (answers / calls, standing)
            for standing, answers, calls in map(_latest, standings)
            if calls >= settings.calls
        ]
        if len(rates) < COMPARED:
            return []
        mean = sum(rate for rate, _ in rates) / len(rates)
        deviation = sqrt(sum((rate - mean) ** 2 for rate, _ in rates) / len(rates))
        least = mean - max(settings.deviations * deviation, _NEAR)
        return [standing for rate, standing in sorted(rates, key=lambda rated: rated[0]) if rate < least]

    def most(self, count: int) -> int:
        """How many of ``count`` may be left alone at once: one of two, and never the last."""
        # a little more, because 35 % of 180 is a little less than 63 in binary
        return min(int(count * self._settings.share + _ROUNDING), count - 1)

    def eject(self, standing: Standing, now: float) -> float:
        """Leave it alone from now on; for so many seconds, more each time it happens."""
        settings = self._settings
        standing.times += 1
        standing.ejections += 1
        standing.in_row = 0
        rest = min(settings.rest * standing.times, settings.longest)
        rest *= random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311  no secret
        standing.back_at = now + rest
        return rest

    def reviewed(self, standing: Standing, since: float, now: float) -> None:
        """Count anew, and forgive one time for every ten seconds since then in which it was not left alone."""
        standing.reviewed = (standing.answers, standing.failures)
        well = max(0.0, now - max(since, standing.back_at))
        standing.times -= round(min(well / _FORGIVEN, standing.times))


def _latest(standing: Standing) -> tuple[Standing, int, int]:
    """Its answers and its calls since the last review."""
    answers, failures = standing.reviewed
    return standing, standing.answers - answers, standing.answers - answers + standing.failures - failures
