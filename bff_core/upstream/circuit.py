"""When an upstream that fails is left alone for a while, and how it is tried again: one call at a time."""

import random
from collections.abc import Callable
from enum import StrEnum
from math import inf
from typing import Final, Protocol

from bff_core.errors import CircuitOpen
from bff_core.upstream.verdict import Verdict
from bff_core.upstream.window import Window
from bff_core.upstream_settings import CircuitSettings

__all__ = ["NO_CIRCUIT", "Breaker", "Circuit", "State"]

_SUCCESS: Final = Verdict.SUCCESS
_OURS: Final = Verdict.OURS
_SPREAD: Final = 0.2  # of the rest, either way
_PROBING: Final = 1.0  # seconds: what is told to those who come while a probe is under way


class State(StrEnum):
    """What a circuit lets through: everything, nothing, one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


_CLOSED: Final = State.CLOSED


class Breaker(Protocol):
    """Who is asked before an attempt, and told after it."""

    @property
    def state(self) -> State:
        """What it lets through."""
        ...

    @property
    def opened(self) -> int:
        """How often it has opened since the start."""
        ...

    def admit(self, now: float) -> bool:
        """Let an attempt through, and say whether it is the probe. Raises ``CircuitOpen``."""
        ...

    def record(self, verdict: Verdict, ran: float, now: float, *, probe: bool) -> None:
        """What became of it, after ``ran`` seconds. For every attempt that was let through, however it ended."""
        ...


class Circuit:
    """Opens when too many attempts of late have failed, or were slow; closes after probes that succeed in a row.

    A probe that proves nothing, because we ended it ourselves, makes room for the next one. What was let through
    before the circuit opened counts no more once it has. ``changed`` is told each new state.
    """

    __slots__ = (
        *("_attempts", "_changed", "_closed_at", "_failures", "_good", "_probing", "_settings", "_slow", "_slow_from"),
        *("_until", "_upstream", "opened", "state"),
    )

    def __init__(
        self, upstream: str, settings: CircuitSettings, changed: Callable[[State], object] = lambda _: None
    ) -> None:
        self._upstream, self._settings, self._changed = upstream, settings, changed
        self._attempts, self._failures, self._slow = (Window(settings.window) for _ in range(3))
        self._slow_from = inf if settings.slow is None else settings.slow
        self._until = 0.0
        self._closed_at = -inf
        self._good = 0
        self._probing = False
        self.state = State.CLOSED
        self.opened = 0
        """How often, since the start."""

    def admit(self, now: float) -> bool:
        """See ``Breaker``."""
        if self.state is _CLOSED:
            return False
        if self.state is State.OPEN and now >= self._until:
            self._good = 0
            self._enter(State.HALF_OPEN)
        if self.state is State.OPEN or self._probing:
            raise CircuitOpen(self._upstream, max(self._until - now, _PROBING))
        self._probing = True
        return True

    def record(self, verdict: Verdict, ran: float, now: float, *, probe: bool) -> None:
        """See ``Breaker``."""
        if probe:
            self._probed(verdict, ran, now)
        elif self.state is _CLOSED and verdict.counts and now - ran >= self._closed_at:
            self._attempts.add(now)
            if verdict is not _SUCCESS or ran >= self._slow_from:
                self._count(verdict, ran, now)

    def _count(self, verdict: Verdict, ran: float, now: float) -> None:
        settings = self._settings
        if verdict.counts_as == "failure":
            self._failures.add(now)
        if ran >= self._slow_from:
            self._slow.add(now)
        attempts = self._attempts.count(now)
        if attempts >= settings.attempts and (
            self._failures.count(now) >= settings.failures * attempts
            or self._slow.count(now) >= settings.slow_share * attempts
        ):
            self._open(now)

    def _probed(self, verdict: Verdict, ran: float, now: float) -> None:
        self._probing = False
        if verdict is _OURS:
            return
        if verdict is not _SUCCESS or ran >= self._slow_from:
            self._open(now)
            return
        self._good += 1
        if self._good >= self._settings.successes:
            for window in (self._attempts, self._failures, self._slow):
                window.clear()
            self._closed_at = now
            self._enter(State.CLOSED)

    def _open(self, now: float) -> None:
        self._until = now + self._settings.rest * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311  no secret
        self.opened += 1
        self._enter(State.OPEN)

    def _enter(self, state: State) -> None:
        self.state = state
        self._changed(state)


class _NoCircuit:
    state: Final = State.CLOSED
    opened: Final = 0

    def admit(self, now: float) -> bool:  # noqa: ARG002
        return False

    def record(self, verdict: Verdict, ran: float, now: float, *, probe: bool) -> None:
        pass


NO_CIRCUIT: Final = _NoCircuit()
"""Lets everything through, always."""
