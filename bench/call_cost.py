"""What a call costs in this process: ``python -m bench.call_cost URL CALLS ROUNDS``.

Three ways: the bare wire, which sends what was written before and reads what comes back; a typed call without any
policy, made, written, flown and awaited; and the same with the default policies.

It prints a list with one object for each turn, in JSON. A process of its own, so that it can be pinned, and holds
nothing but what it measures.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Final, TypeVar

import uvloop

from bench.memory_wire import MemoryWire
from bench.page.items import Items, Products
from bench.rounds import in_turn
from bff_core.context import RequestContext, enter, leave
from bff_core.server import collector
from bff_core.settings import UpstreamSettings
from bff_core.upstream import Call, Flight, Passenger, Upstream
from bff_core.wire import Instance, Request, Wire
from bff_core.wire.http1 import Http1Wire

__all__ = ["Turn", "main"]

T = TypeVar("T")

_WARM_UP: Final = 2000  # calls
_DEADLINE: Final = 3600.0  # seconds; beyond the end of every turn
_AGENT: Final = "bff-page/0"


@dataclass(frozen=True, slots=True)
class Turn:
    """One way to call, in one round. Microseconds a call."""

    wire: str
    way: str
    cpu: float
    wall: float


Way = Callable[[int], Awaitable[None]]


class _Unprotected(Upstream):
    """Without a policy: nothing is joined, refused, counted, or tried again, and the first instance gets it all."""

    @cached_property
    def first(self) -> Instance:
        """Of its instances."""
        return self.balancer.instances[0]

    def fly(
        self, call: Call[T], context: RequestContext, until: float, passenger: Passenger, clock: Callable[[], float]
    ) -> Flight[T]:
        flight: Flight[T] = Flight(passenger, until, clock)
        flight.start(self._sent(call, context, clock))
        return flight

    async def _sent(self, call: Call[T], context: RequestContext, clock: Callable[[], float]) -> T:
        endpoint, until = call.endpoint, clock() + self._timeout
        instance = self.first
        request = self._request(call, context, self._timeout)
        return endpoint.read(
            instance, await endpoint.attempt(self._wire, instance, request, until, until, self._max_reply)
        )


async def _typed(items: Items, calls: int) -> None:
    """As a page makes them: within a request that has a deadline."""
    now = asyncio.get_running_loop().time()
    token = enter(RequestContext(request_id="4bf92f3577b34da6", started=now, until=now + _DEADLINE))
    for _ in range(calls):
        await items.of("n-0")
    leave(token)


async def _bare(items: Items, wire: Wire, instance: Instance, request: Request, calls: int) -> None:
    """The same request, sent and read, and nothing else."""
    loop = asyncio.get_running_loop()
    endpoint = items.of("n-0").endpoint
    for _ in range(calls):
        endpoint.read(instance, await wire.send(instance, request, until=loop.time() + 0.5, max_body=8 * 1024 * 1024))


async def _ways(url: str, wire: Wire, body: bytes) -> dict[str, Way]:
    """All of them, over this wire."""
    memory, settings = MemoryWire(body), UpstreamSettings(instances=[url])
    await Products(Upstream("product", settings, memory, agent=_AGENT)).of("n-0")
    assert memory.asked
    items, unprotected = (Products(kind("product", settings, wire, agent=_AGENT)) for kind in (Upstream, _Unprotected))
    bare = partial(_bare, items, wire, Instance.parse("product", url), memory.asked)
    return {"bare": bare, "typed": partial(_typed, unprotected), "policies": partial(_typed, items)}


async def _turn(wire: str, way: str, call: Way, calls: int) -> Turn:
    cpu, wall = process_time(), perf_counter()
    await call(calls)
    return Turn(wire, way, (process_time() - cpu) / calls * 1e6, (perf_counter() - wall) / calls * 1e6)


async def _measure(url: str, calls: int, rounds: int) -> list[Turn]:
    body = Path(__file__).with_name("upstream").joinpath("item.json").read_bytes()
    network = Http1Wire()
    wires: dict[str, Wire] = {"network": network, "memory": MemoryWire(body)}
    ways = [(wire, way, call) for wire in wires for way, call in (await _ways(url, wires[wire], body)).items()]
    for _, _, call in ways:
        await call(_WARM_UP)
    collector.tune()  # as `bff run` does when all is made that stays
    turns = [await _turn(*each, calls) for _, each in in_turn(ways, rounds)]
    await network.close()
    return turns


def main(url: str, calls: int, rounds: int) -> None:
    """Measure and print."""
    turns = uvloop.run(_measure(url, calls, rounds))
    json.dump([asdict(turn) for turn in turns], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
