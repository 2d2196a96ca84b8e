"""Moments at which something is too late, kept in slots of 5 ms: one timer a slot, however many wait.

A timer per call and its cancel cost a microsecond; an entry in a list costs a twentieth. Nothing is taken out again:
whoever is called finds out whether it still matters.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final

__all__ = ["Moments"]

_SLOT: Final = 0.005  # seconds


class Moments:
    """Calls back at a moment, at most one slot late and never early."""

    __slots__ = ("_slots", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._slots: dict[int, list[Callable[[], object]]] = {}

    def at(self, when: float, call: Callable[[], object]) -> None:
        """Call ``call`` at ``when``, a moment of the loop's clock; never, where that is infinity."""
        if when == inf:
            return
        slot = int(when / _SLOT) + 1
        waiting = self._slots.get(slot)
        if waiting is None:
            self._slots[slot] = [call]
            self.loop.call_at(slot * _SLOT, self._fire, slot)
        else:
            waiting.append(call)

    def _fire(self, slot: int) -> None:
        for call in self._slots.pop(slot):
            try:
                call()
            except Exception as error:  # noqa: BLE001  one request's bug must not cost another its deadline
                self.loop.call_exception_handler({"message": "a bug at its moment", "exception": error})
