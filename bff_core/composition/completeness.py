"""How much of a page is there, and why the rest is not."""

from collections.abc import Iterable
from dataclasses import dataclass

from bff_core.errors import Reason

__all__ = ["Completeness"]


@dataclass(frozen=True, slots=True)
class Completeness:
    """Every part that was named, in order, with the reason why it is missing, or ``None`` where it is there."""

    parts: tuple[tuple[str, Reason | None], ...]

    @property
    def missing(self) -> dict[str, Reason]:
        """What was asked for and is not there. What ``fields=`` left out is not missing."""
        return {name: why for name, why in self.parts if why is not None and why is not Reason.SKIPPED}

    def parameters(self) -> Iterable[tuple[str, str]]:
        """Each part with its parameters in the list of ``Page-Parts`` (RFC 9651)."""
        return [(name, "" if why is None else f";missing={why}") for name, why in self.parts]
