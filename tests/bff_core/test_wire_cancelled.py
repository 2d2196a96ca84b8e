"""Whenever somebody leaves, at whatever step of the loop, the wire is whole for the next one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest

from bff_core.errors import UpstreamError
from bff_core.wire import Instance, Request, Wire
from bff_core.wire.http1 import Http1Wire
from bff_core.wire.promise import errand
from bff_core.wire.terms import Terms
from tests.bff_core.authority import serving, trusting
from tests.bff_core.flying import Flying
from tests.bff_core.raw_server import Conforming, RawServer, after, open_wire, said

pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("each_wire")]

ROOM = 2
Work = Callable[[Wire, Instance, str], Awaitable[bytes]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each request with its own target, in several pieces, so that nobody can be given another's reply."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"chunked" in head.lower():
            await reader.readuntil(b"0\r\n\r\n")
        reply = said(head.split()[1])
        for piece in (reply[:10], reply[10:-2], reply[-2:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)


async def pieces() -> AsyncIterator[bytes]:
    for number in range(3):
        await asyncio.sleep(0)
        yield b"piece %d" % (number + 1)


async def plain(wire: Wire, instance: Instance, target: str) -> bytes:
    return (await wire.send(instance, Request("GET", target), until=after(5), max_body=100)).body


async def upload(wire: Wire, instance: Instance, target: str) -> bytes:
    request = Request("POST", target, body=pieces())
    return (await wire.send(instance, request, until=after(5), max_body=100)).body


async def stream(wire: Wire, instance: Instance, target: str) -> bytes:
    return await read(wire, instance, Request("GET", target))


async def both_streams(wire: Wire, instance: Instance, target: str) -> bytes:
    return await read(wire, instance, Request("POST", target, body=pieces()))


async def read(wire: Wire, instance: Instance, request: Request) -> bytes:
    found = await wire.stream(instance, request, until=after(5), max_body=100)
    try:
        return b"".join([part async for part in found])
    finally:
        await found.close()


class Run(Protocol):
    """Work under way."""

    def done(self) -> bool: ...
    def cancel(self) -> Any: ...
    def result(self) -> bytes: ...


def as_task(work: Awaitable[bytes]) -> Run:
    return asyncio.ensure_future(work)


def as_flight(work: Any) -> Run:
    return Flying(work)


@dataclass
class Place:
    """Where the work is done, and who was there before it."""

    server: RawServer
    wire: Wire
    before: set[asyncio.Task[Any]]

    async def rest(self) -> None:
        """Until nothing is under way any more but the server's own connections."""
        async with asyncio.timeout(5):
            while asyncio.all_tasks() - self.before - self.server._connections:
                await asyncio.sleep(0)
        await asyncio.sleep(0)  # for the callbacks of the last one

    async def check(self, number: int) -> None:
        """Nothing is half used, the room is all there, and whoever comes next gets what is meant for it."""
        await self.rest()
        if isinstance(self.wire, Http1Wire):
            for pool in self.wire._pools.values():
                assert pool._all == set(pool._idle)
                assert not any(one._busy or one.closed or one._upload or one._promise for one in pool._idle)
        else:
            assert self.wire._room._value == ROOM
        for call in range(ROOM + 1):
            target = f"/next/{number}/{call}"
            assert await plain(self.wire, self.server.instance, target) == target.encode()


async def cancelled_after(steps: int, run: Run) -> bool:
    """Whether it was over before."""
    for _ in range(steps):
        if run.done():
            return True
        await asyncio.sleep(0)
    if run.done():
        return True
    run.cancel()
    async with asyncio.timeout(5):
        while not run.done():
            await asyncio.sleep(0)
    return False


@pytest.fixture
def ours(tmp_path: Path) -> Terms:
    return trusting(tmp_path)


@pytest.mark.parametrize("kept", [False, True], ids=["to be connected", "kept"])
@pytest.mark.parametrize("over", ["tcp", "tls"])
@pytest.mark.parametrize("work", [plain, upload, stream, both_streams], ids=lambda work: work.__name__)
@pytest.mark.parametrize("start", [as_task, as_flight], ids=["as a task", "as a flight"])
async def test_work_that_is_cancelled_at_any_step_leaves_the_wire_whole(
    start: Callable[[Any], Run], work: Work, over: str, kept: bool, ours: Terms
) -> None:
    async with RawServer(echo, tls=serving() if over == "tls" else None) as server:
        for steps in count():
            assert steps < 1000
            async with open_wire(connections=ROOM, terms=ours) as wire:
                if kept:
                    await plain(wire, server.instance, "/first")
                place = Place(server, wire, asyncio.all_tasks())
                run = start(work(wire, server.instance, f"/{steps}"))
                over_before = await cancelled_after(steps, run)
                try:
                    assert run.result() == b"/%d" % steps
                except asyncio.CancelledError:
                    assert not over_before
                await place.check(steps)
            if over_before:
                break
        assert steps > 1 or kept


async def test_who_leaves_takes_nothing_from_who_came_next_on_the_same_connection() -> None:
    async with RawServer(said(b"ok"), keeps_alive=True) as server, open_wire(connections=4) as wire:
        for steps in count():
            await plain(wire, server.instance, "/first")
            run = as_task(stream(wire, server.instance, "/leaves"))
            for _ in range(steps):
                await asyncio.sleep(0)
            if run.done():
                break
            other = as_flight(plain(wire, server.instance, "/other"))  # which takes what is free before run is told
            await cancelled_after(0, run)
            async with asyncio.timeout(2):
                while not other.done():
                    await asyncio.sleep(0)
            assert other.result() == b"ok"


async def test_a_stream_that_is_over_does_not_end_who_came_next_on_the_same_connection() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.06 if b"/other" in head else 0)
            writer.write(said(b"ok"))

    async with RawServer(script) as server, open_wire(connections=4) as wire:
        for steps in count():
            await plain(wire, server.instance, "/first")
            opening = wire.stream(
                server.instance, Request("GET", "/"), until=after(5), body_until=after(0.03), max_body=9
            )
            run = asyncio.ensure_future(opening)
            for _ in range(steps):
                await asyncio.sleep(0)
            other = as_flight(plain(wire, server.instance, "/other"))
            over = run.done()
            found = await run
            async with asyncio.timeout(2):
                while not other.done():
                    await asyncio.sleep(0.001)
            assert other.result() == b"ok"
            await found.close()
            if over:
                break


async def test_many_who_leave_at_once_leave_the_wire_whole(ours: Terms) -> None:
    """As above, with others on the wire at the same time, who get their own replies and nobody else's."""
    room = 30
    async with RawServer(echo, tls=serving()) as server, open_wire(connections=room, terms=ours) as wire:
        place = Place(server, wire, asyncio.all_tasks())
        for steps in range(1, 40, 3):
            works = [(plain, upload, stream, both_streams)[number % 4] for number in range(20)]
            runs = [
                asyncio.ensure_future(work(wire, server.instance, f"/{number}")) for number, work in enumerate(works)
            ]
            for _ in range(steps):
                await asyncio.sleep(0)
            for leaving in runs[::2]:
                leaving.cancel()
            ends = await asyncio.gather(*runs, return_exceptions=True)
            for number, end in enumerate(ends):
                assert end == b"/%d" % number or (number % 2 == 0 and isinstance(end, asyncio.CancelledError))
        await place.rest()
        if Conforming.kind == "http1":
            (pool,) = wire._pools.values()
            assert pool._all == set(pool._idle)


async def test_connecting_that_is_given_up_while_it_succeeds_leaves_a_connection_for_the_next_one() -> None:
    if Conforming.kind == "httpx":
        pytest.skip("it never gives up connecting")
    async with RawServer(echo) as server:
        left = 0
        for steps in range(30):
            async with open_wire(connections=1) as wire:
                place = Place(server, wire, asyncio.all_tasks())
                run = as_task(plain(wire, server.instance, "/"))
                await cancelled_after(steps, run)
                await place.rest()
                (pool,) = wire._pools.values() or [None]
                left += bool(pool and pool._idle)
                assert await plain(wire, server.instance, "/next") == b"/next"
        assert left


async def test_time_that_runs_out_at_any_step_leaves_the_wire_whole(ours: Terms) -> None:
    async with RawServer(echo, tls=serving()) as server, open_wire(connections=ROOM, terms=ours) as wire:
        place = Place(server, wire, asyncio.all_tasks())
        for number in range(30):
            for work in (plain, upload, stream, both_streams):
                try:
                    async with asyncio.timeout(number / 2000):
                        assert await work(wire, server.instance, f"/{number}") == b"/%d" % number
                except (TimeoutError, UpstreamError):
                    pass
                await place.rest()
        await place.check(0)


async def test_what_was_quicker_than_its_cancellation_goes_to_whoever_can_use_it() -> None:
    left = []

    async def work() -> str:
        return "done"

    promise = errand(work(), unclaimed=lambda task: left.append(task.result()))
    await asyncio.sleep(0)  # it is done, and nobody has heard of it
    promise.cancel()
    await asyncio.sleep(0)
    assert left == ["done"]
    with pytest.raises(asyncio.CancelledError):
        promise.result()
