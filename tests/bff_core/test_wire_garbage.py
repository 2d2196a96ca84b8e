"""An exchange leaves nothing for the garbage collector, whole or not: memory is free as soon as nobody needs it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bff_core.wire import Instance, Request
from bff_core.wire.http1 import Http1Wire
from tests.bff_core.flying import Flying
from tests.bff_core.raw_server import RawServer, after, said

pytestmark = pytest.mark.real_time

MUCH = 200_000
Exchange = Callable[[Http1Wire, Instance], Awaitable[object]]


async def replies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """To each path its own."""
    while True:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        writer.write(b"" if path == b"/silence" else said(bytes(MUCH))[: -1 if path == b"/half" else None])
        await writer.drain()
        if path == b"/cut":
            return


async def whole(wire: Http1Wire, instance: Instance, path: str = "/whole") -> None:
    await wire.send(instance, Request("GET", path), until=after(0.1), max_body=MUCH)


async def of_an_error(wire: Http1Wire, instance: Instance) -> None:
    await in_the_air(whole(wire, instance, "/cut"))


async def late(wire: Http1Wire, instance: Instance) -> None:
    await in_the_air(whole(wire, instance, "/silence"))


async def left(wire: Http1Wire, instance: Instance) -> None:
    await in_the_air(whole(wire, instance, "/half"), for_turns=20)


async def streamed(wire: Http1Wire, instance: Instance) -> None:
    stream = await wire.stream(instance, Request("GET", "/whole"), until=after(0.1), max_body=MUCH)
    async for _ in stream:
        pass
    await stream.close()


async def unread(wire: Http1Wire, instance: Instance) -> None:
    stream = await wire.stream(instance, Request("GET", "/half"), until=after(0.1), max_body=MUCH)
    await stream.close()


async def answered_early(wire: Http1Wire, instance: Instance) -> None:
    await wire.send(instance, Request("POST", "/whole", body=endless()), until=after(0.1), max_body=MUCH)


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(1000)
        await asyncio.sleep(0)


async def in_the_air(work: Awaitable[object], for_turns: int | None = None) -> None:
    """As calls of pages are: with no task, whose own would be to see."""
    flying = Flying(work)
    if for_turns is not None:
        for _ in range(for_turns):
            await asyncio.sleep(0)
        flying.cancel()
    await flying.over


@pytest.mark.parametrize("exchange", [whole, of_an_error, late, left, streamed, unread, answered_early])
async def test_an_exchange_leaves_nothing_for_the_collector(
    exchange: Exchange, garbage: Callable[[], list[str]]
) -> None:
    async with RawServer(replies) as server:
        wire = Http1Wire()
        await exchange(wire, server.instance)
        garbage()
        for _ in range(3):
            await exchange(wire, server.instance)
        await wire.close()
        while wire._moments._slots or server.open:  # a connection is held until the moment of its last exchange
            await asyncio.sleep(0.01)
        assert [one for one in garbage() if one.startswith("bff_core.")] == []
