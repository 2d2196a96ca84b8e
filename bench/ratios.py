"""What figures of several rounds come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Spread", "ratios", "spread"]


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some figures, and how far they lie apart."""

    median: float
    min: float
    max: float


def spread(figures: Sequence[float]) -> Spread:
    """Of at least one figure."""
    return Spread(median(figures), min(figures), max(figures))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Ours over theirs, each pair from one round: what disturbs a round disturbs both, and falls out."""
    return spread([one / other for one, other in zip(ours, theirs, strict=True)])
