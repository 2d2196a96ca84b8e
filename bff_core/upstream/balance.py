"""Which instance of an upstream gets the next attempt."""

from collections.abc import Sequence
from itertools import cycle

from bff_core.wire import Instance

__all__ = ["RoundRobin"]


class RoundRobin:
    """Every instance in turn."""

    __slots__ = ("_turn", "instances")

    def __init__(self, instances: Sequence[Instance]) -> None:
        self.instances = tuple(instances)
        self._turn = cycle(self.instances)

    def pick(self, avoid: Instance | None = None) -> Instance:
        """The one whose turn it is, and not ``avoid`` where there is another."""
        found = next(self._turn)
        return next(self._turn) if found is avoid and len(self.instances) > 1 else found
