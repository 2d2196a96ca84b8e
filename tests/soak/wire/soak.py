"""Rounds of calls by many callers; after each, everything that was done for them is gone.

Every call is drawn from the seed, so that the same seed makes the same calls. What the machine makes of them is never
quite the same.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from itertools import count, islice
from time import monotonic
from typing import Any

from bff_core.wire.http1 import Http1Wire
from tests.bff_core.flying import Flying
from tests.soak.holdings import Memory, alive, files, resident
from tests.soak.wire.caller import Caller, Unexpected
from tests.soak.wire.far_side import FarSide
from tests.soak.wire.lot import draw

__all__ = ["Left", "Plan", "Result", "Round", "soak"]

_HANDSHAKES = 0.12  # seconds behind the moment of a call, until when uvloop keeps what came of its handshake
_BLOCKS, _BYTES = 20_000, 32 * 1024 * 1024  # by which memory may grow behind the warm-up, however many calls are made
_GONE = (
    *("Connection", "Promise", "ReplyBody", "Upload", "Flight", "InstancePool", "Moments", "Task"),
    *("TimerHandle", "TCPTransport", "UnixTransport", "SSLProtocol"),  # uvloop's
)


class Left(Exception):
    """Something is there that should be gone."""


@dataclass(frozen=True)
class Plan:
    """``calls`` in ``rounds``, by so many ``callers``. The first ``warming`` rounds make what stays.

    ``patience``: seconds that a call has whose lot does not say; ``tidying``: those in which what is over must be gone.
    """

    seed: int
    calls: int
    rounds: int = 100
    warming: int = 10
    callers: int = 100
    patience: float = 5.0
    tidying: float = 10.0
    make_wire: Callable[..., Http1Wire] = Http1Wire

    def crowded(self, number: int) -> bool:
        """In every tenth round more callers come than there is room for."""
        return number % 10 == 5


@dataclass(frozen=True)
class Round:
    """What was done by the end of it."""

    calls: int
    seconds: float
    resident: int


@dataclass(frozen=True)
class Result:
    """``ends`` by what came of calls. ``asked`` and ``accepted``: requests and connections that the server saw."""

    ends: Counter[str]
    seconds: float
    warm: Memory
    final: Memory
    asked: int
    accepted: int


async def soak(plan: Plan, tell: Callable[[Round], object] = lambda _: None) -> Result:
    """Raises ``Unexpected`` for a call that ended as it must not, ``Left`` for what should be gone."""
    before = alive(_GONE)
    async with FarSide(plan.seed) as far:
        result = await _Soak(plan, far).run(tell)
    if found := alive(_GONE) - before:
        raise Left(f"objects: {dict(found)}")
    if plan.warming:
        _compare(result.warm, result.final)
    return result


def _compare(warm: Memory, final: Memory) -> None:
    blocks, resident = final.blocks - warm.blocks, final.resident - warm.resident
    if blocks > _BLOCKS or resident > _BYTES:
        raise Left(f"memory: {blocks} blocks and {resident} bytes more than after the warm-up")


class _Soak:
    def __init__(self, plan: Plan, far: FarSide) -> None:
        self._plan, self._far = plan, far
        self._wire = plan.make_wire(connections=2 * plan.callers, terms=far.terms)
        self._caller = Caller(self._wire, far.places, plan.patience)
        self._ends: Counter[str] = Counter()
        self._tasks = asyncio.all_tasks()
        self._files = files()

    async def run(self, tell: Callable[[Round], object]) -> Result:
        plan, numbers, started = self._plan, count(1), monotonic()
        warm = Memory.now()
        for number in range(plan.rounds):
            await self._round(islice(numbers, plan.calls // plan.rounds), crowded=plan.crowded(number))
            known = await self._quiet()
            if number + 1 == plan.warming:
                await self._time_is_over()
                warm = Memory.now()
            tell(Round(self._ends.total(), monotonic() - started, resident()))
        await self._time_is_over()
        final = Memory.now()
        async with asyncio.timeout(plan.tidying):
            await self._wire.close()
        return Result(self._ends, monotonic() - started, warm, final, known["asked"], known["accepted"])

    async def _round(self, numbers: Iterator[int], *, crowded: bool) -> None:
        callers = self._plan.callers * (4 if crowded else 1)
        try:
            async with asyncio.TaskGroup() as group:
                for place in range(callers):
                    work = self._calls(numbers, crowded=crowded)
                    group.create_task(_flown(work) if place % 2 else work)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _calls(self, numbers: Iterator[int], *, crowded: bool) -> None:
        for number in numbers:
            lot = draw(self._plan.seed, number)
            end = await self._caller.end(lot)
            if end not in lot.may_end(crowded=crowded):
                raise Unexpected(f"{end} came of {lot}")
            self._ends[end] += 1

    async def _quiet(self) -> dict[str, Any]:
        """Nothing is under way, both sides have the same connections, and nothing of a call is in them; then none."""
        if others := asyncio.all_tasks() - self._tasks:
            _, others = await asyncio.wait(others, timeout=self._plan.tidying)
        if others:
            raise Left(f"tasks: {others}")
        await self._agree("tell", lambda known: self._idle() == known["open"])
        known = await self._agree("out", lambda known: not self._idle() and not known["open"])
        if known["offences"]:
            raise Unexpected("\n".join(known["offences"]))
        if self._caller.sources or files() != self._files:
            raise Left(f"{self._caller.sources} sources, {files() - self._files} files")
        return known

    async def _agree(self, order: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end = monotonic() + self._plan.tidying
        while not true(known := await self._far.known(order)):
            if monotonic() > end:
                raise Left(f"the server knows {known}, the wire {self._idle()}")
        return known

    def _idle(self) -> dict[str, int] | None:
        """Connections by place; ``None`` while there is one in use."""
        found = {}
        for pool in self._wire._pools.values():
            if pool._all != set(pool._idle) or len(pool._all) != len(pool._idle):
                return None
            if any(one._busy or one.closed or one._promise or one._upload or one._stream for one in pool._idle):
                raise Left(f"something of a call in an idle connection to {pool.instance}")
            found[pool.instance.upstream] = len(pool._idle)
        return {place: number for place, number in found.items() if number}

    async def _time_is_over(self) -> None:
        """The moments of all calls have passed, and nobody waits for one."""
        await asyncio.sleep(max(0.0, self._caller.latest - asyncio.get_running_loop().time()) + _HANDSHAKES)
        if self._wire._moments._slots:
            raise Left("moments that have passed")


async def _flown(life: Coroutine[Any, Any, None]) -> None:
    flying = Flying(life)
    try:
        await flying.over
    finally:
        flying.cancel()
    flying.result()
