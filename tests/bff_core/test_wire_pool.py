"""Callers come, lose patience and go; the wire stays whole for the others (encode/httpcore#1093)."""

import asyncio
import gc
from contextlib import suppress
from random import Random

import httpx
import pytest

from bff_core.errors import Busy, TimedOut, UpstreamError
from bff_core.wire import Connections, Request
from bff_core.wire.http1 import Http1Wire
from bff_core.wire.httpx import HttpxWire
from tests.bff_core.raw_server import Conforming, RawServer, Script, after, open_wire, said, started

pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("each_wire")]

GET = Request("GET", "/")
ROUNDS, CALLS, CONNECTIONS = 20, 40, 10


async def slightly_slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    waits = Random(1)
    while True:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(waits.uniform(0, 0.01))
        writer.write(said(b"ok"))
        await writer.drain()


async def hanging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def impatient_callers(wire: HttpxWire, server: RawServer, *, patience: float, until: float) -> None:
    """Each leaves after a random while of at most ``patience``, and its exchange is over by ``until`` of it."""
    random = Random(1)

    async def call(seconds: float) -> None:
        with suppress(TimeoutError, UpstreamError):
            async with asyncio.timeout(seconds):
                await wire.send(server.instance, GET, until=after(seconds * until), max_body=10)

    for _ in range(ROUNDS):
        await asyncio.gather(*(call(random.uniform(0, patience)) for _ in range(CALLS)))


async def bodies(wire: HttpxWire, server: RawServer) -> list[bytes]:
    calls = (wire.send(server.instance, GET, until=after(5), max_body=10) for _ in range(CONNECTIONS))
    return [reply.body for reply in await asyncio.gather(*calls)]


async def test_callers_that_are_cancelled_at_random_leave_every_connection_usable() -> None:
    async with RawServer(slightly_slow) as server, open_wire(CONNECTIONS) as wire:
        await impatient_callers(wire, server, patience=0.02, until=10)
        assert await bodies(wire, server) == [b"ok"] * CONNECTIONS


async def test_calls_whose_time_runs_out_while_others_wait_leave_every_connection_usable() -> None:
    async with RawServer(slightly_slow) as server, open_wire(CONNECTIONS) as wire:
        await impatient_callers(wire, server, patience=0.02, until=1)
        assert await bodies(wire, server) == [b"ok"] * CONNECTIONS


async def test_the_same_callers_poison_a_plain_httpx_client_for_good() -> None:
    """If this fails, httpx can be cancelled now, and the wire may become simpler."""
    random = Random(1)
    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with RawServer(slightly_slow) as server, httpx.AsyncClient(limits=limits, timeout=0.3) as client:

        async def call(seconds: float) -> None:
            with suppress(TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(seconds):
                    await client.get(str(server.instance))

        async def poisoned() -> bool:
            calls = (client.get(str(server.instance)) for _ in range(CONNECTIONS))
            ends = await asyncio.gather(*calls, return_exceptions=True)
            return any(isinstance(end, httpx.PoolTimeout) for end in ends)

        for _ in range(5 * ROUNDS):
            await asyncio.gather(*(call(random.uniform(0, 0.02)) for _ in range(CALLS)))
            if await poisoned():
                return
        pytest.fail("the pool is whole")


async def test_a_connection_is_used_again() -> None:
    async with RawServer(said(b"ok"), keeps_alive=True) as server, open_wire() as wire:
        for _ in range(3):
            await wire.send(server.instance, GET, until=after(5), max_body=10)
        assert (server.accepted, len(server.heads)) == (1, 3)


async def test_a_connection_that_the_service_closed_meanwhile_is_replaced() -> None:
    async with RawServer(said(b"ok")) as server, open_wire() as wire:
        for _ in range(3):
            await wire.send(server.instance, GET, until=after(5), max_body=10)
            while server.open:
                await asyncio.sleep(0)
        assert server.accepted == 3


async def test_without_room_until_the_end_a_call_is_busy_and_nothing_is_sent() -> None:
    async with RawServer(hanging) as server, open_wire(connections=1) as wire:
        first = started(wire.send(server.instance, GET, until=after(0.2), max_body=10))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await wire.send(server.instance, GET, until=after(0.05), max_body=10)
        with pytest.raises(TimedOut):
            await first
        assert server.accepted == 1


async def test_an_abandoned_exchange_holds_its_connection_until_it_ends_and_no_longer() -> None:
    async with RawServer(hanging) as server, open_wire(connections=1) as wire:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await wire.send(server.instance, GET, until=after(0.3), max_body=10)
        if Conforming.kind == "httpx":  # the other one closes the connection of whoever leaves
            with pytest.raises(Busy):
                await wire.send(server.instance, GET, until=after(0.05), max_body=10)
        server.script = said(b"ok")
        assert (await wire.send(server.instance, GET, until=after(5), max_body=10)).body == b"ok"


async def test_closing_waits_for_what_is_under_way() -> None:
    answer = asyncio.Event()

    async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer.wait()
        writer.write(said(b"ok"))

    async with RawServer(held) as server:
        wire = HttpxWire()
        call = started(wire.send(server.instance, GET, until=after(5), max_body=10))
        while not server.open:
            await asyncio.sleep(0)
        closing = asyncio.create_task(wire.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        answer.set()
        assert (await call).body == b"ok"
        await closing


async def test_an_exchange_that_fails_after_its_caller_left_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    async with RawServer(hanging) as server, open_wire() as wire:
        call = started(wire.send(server.instance, GET, until=after(0.05), max_body=10))
        while not server.open:
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        await wire.close()
    del call
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


# an instance that is none any more


async def gone(server: RawServer) -> None:
    """Wait until no connection of it is open."""
    async with asyncio.timeout(5):
        while server.open:
            await asyncio.sleep(0.001)


def held_until(answer: asyncio.Event) -> Script:
    """Each request is answered when that is set."""

    async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await answer.wait()
            writer.write(said(b"ok"))
            await writer.drain()

    return held


async def test_retiring_what_was_never_called_is_nothing() -> None:
    async with RawServer(said(b"ok"), keeps_alive=True) as server, open_wire() as wire:
        wire.retire(server.instance)
        assert (await wire.send(server.instance, GET, until=after(5), max_body=10)).body == b"ok"


async def test_what_is_retired_may_come_back_at_once_and_again_and_again() -> None:
    async with RawServer(said(b"ok"), keeps_alive=True) as server, open_wire() as wire:
        for _ in range(5):
            for _ in range(2):
                assert (await wire.send(server.instance, GET, until=after(5), max_body=10)).body == b"ok"
            wire.retire(server.instance)
            wire.retire(server.instance)


async def test_idle_connections_of_what_is_retired_end_now_and_those_of_others_stay() -> None:
    async with (
        RawServer(slightly_slow) as server,
        RawServer(said(b"ok"), keeps_alive=True) as other,
        open_wire() as wire,
    ):
        await bodies(wire, server)
        await wire.send(other.instance, GET, until=after(5), max_body=10)
        assert server.open > 1
        wire.retire(server.instance)
        if Conforming.kind == "http1":  # the other one waits until they were idle for long
            await gone(server)
        await wire.send(other.instance, GET, until=after(5), max_body=10)
        assert (other.accepted, other.open) == (1, 1)


async def test_what_is_under_way_when_it_is_retired_has_its_reply_and_then_its_connection_ends() -> None:
    answer = asyncio.Event()
    async with RawServer(held_until(answer)) as server, open_wire() as wire:
        calls = [started(wire.send(server.instance, GET, until=after(5), max_body=10)) for _ in range(3)]
        while server.open < 3:
            await asyncio.sleep(0)
        wire.retire(server.instance)
        await asyncio.sleep(0.01)
        assert server.open == 3
        answer.set()
        assert [(await call).body for call in calls] == [b"ok"] * 3
        if Conforming.kind == "http1":
            await gone(server)


async def test_what_still_connects_when_it_is_retired_has_its_reply_and_then_its_connection_ends() -> None:
    async with RawServer(said(b"ok"), keeps_alive=True) as server, open_wire() as wire:
        call = started(wire.send(server.instance, GET, until=after(5), max_body=10))
        await asyncio.sleep(0)
        assert not server.accepted
        wire.retire(server.instance)
        assert (await call).body == b"ok"
        if Conforming.kind == "http1":
            await gone(server)


async def test_whoever_gives_up_connecting_to_what_is_retired_leaves_no_connection() -> None:
    async with RawServer(said(b"ok"), keeps_alive=True) as server, open_wire() as wire:
        call = started(wire.send(server.instance, GET, until=after(5), max_body=10))
        await asyncio.sleep(0)
        wire.retire(server.instance)
        call.cancel()
        await asyncio.wait({call})
        if Conforming.kind == "http1":
            await asyncio.sleep(0.01)
            await gone(server)


async def test_a_body_that_is_being_read_when_it_is_retired_is_read_to_its_end() -> None:
    more = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\none")
        await more.wait()
        writer.write(b"two")
        await reader.read()

    async with RawServer(slow) as server, open_wire() as wire:
        stream = await wire.stream(server.instance, GET, until=after(5), max_body=10)
        wire.retire(server.instance)
        more.set()
        assert b"".join([piece async for piece in stream]) == b"onetwo"
        await stream.close()
        if Conforming.kind == "http1":
            await gone(server)


async def closing_when_asked_again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(said(b"ok"))
    await reader.readuntil(b"\r\n\r\n")


async def test_what_was_closed_while_it_was_idle_is_repeated_though_it_is_retired_meanwhile() -> None:
    async with RawServer(closing_when_asked_again) as server, open_wire() as wire:
        await wire.send(server.instance, GET, until=after(5), max_body=10)
        call = started(wire.send(server.instance, GET, until=after(5), max_body=10))
        await asyncio.sleep(0)
        wire.retire(server.instance)
        if Conforming.kind == "http1":
            assert (await call).body == b"ok"
            assert server.accepted == 2
            await gone(server)
        else:
            with suppress(UpstreamError):
                await call


async def test_connections_and_what_was_sent_again_are_counted_where_the_wire_can_tell() -> None:
    async with RawServer(closing_when_asked_again) as server, open_wire() as wire:
        seen = [wire.connections(server.instance)]
        for _ in range(2):
            with suppress(UpstreamError):  # on the other wire, which does not send again
                await wire.send(server.instance, GET, until=after(5), max_body=10)
            seen.append(wire.connections(server.instance))
        expected = [Connections(0, 0), Connections(1, 0), Connections(1, 1)]
        assert seen == (expected if Conforming.kind == "http1" else [None] * 3)


async def test_connections_to_what_is_retired_are_counted_until_they_end_and_with_those_after_it_comes_back() -> None:
    answer = asyncio.Event()
    async with RawServer(held_until(answer)) as server, open_wire() as wire:
        calls, seen = [], []
        for _ in range(2):
            calls.append(started(wire.send(server.instance, GET, until=after(5), max_body=10)))
            while server.open < len(calls):
                await asyncio.sleep(0)
            wire.retire(server.instance)
            seen.append(wire.connections(server.instance))
        answer.set()
        await asyncio.gather(*calls)
        if Conforming.kind == "http1":
            await gone(server)
        seen.append(wire.connections(server.instance))
        expected = [Connections(1, 0), Connections(2, 0), Connections(0, 0)]
        assert seen == (expected if Conforming.kind == "http1" else [None] * 3)


async def test_closing_waits_for_what_is_under_way_at_what_is_retired() -> None:
    answer = asyncio.Event()
    async with RawServer(held_until(answer)) as server, open_wire() as wire:
        call = started(wire.send(server.instance, GET, until=after(5), max_body=10))
        while not server.open:
            await asyncio.sleep(0)
        wire.retire(server.instance)
        wire.retire(server.instance)  # which is nothing new
        closing = asyncio.create_task(wire.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        answer.set()
        assert (await call).body == b"ok"
        await closing


async def test_nothing_is_kept_of_what_is_retired_once_nothing_is_under_way() -> None:
    answer = asyncio.Event()
    async with RawServer(held_until(answer)) as server, RawServer(said(b"ok"), keeps_alive=True) as other:
        wire = Http1Wire()
        call = started(wire.send(server.instance, GET, until=after(5), max_body=10))
        while not server.open:
            await asyncio.sleep(0)
        wire.retire(server.instance)
        for _ in range(10):
            await wire.send(other.instance, GET, until=after(5), max_body=10)
            wire.retire(other.instance)
        assert [pool.instance for pool in wire._retired] == [server.instance]
        closing = asyncio.create_task(wire.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        answer.set()
        await call
        await closing
        wire.retire(other.instance)
        await wire.send(other.instance, GET, until=after(5), max_body=10)
        wire.retire(other.instance)
        assert not wire._retired


async def test_what_comes_back_has_room_of_its_own() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await answer.wait()
        writer.write(said(b"ok"))

    async with RawServer(held) as server, open_wire(connections=1) as wire:
        call = started(wire.send(server.instance, GET, until=after(5), max_body=10))
        await asked.wait()
        wire.retire(server.instance)
        server.script = said(b"new")
        if Conforming.kind == "http1":  # of the other one it is the room of all
            assert (await wire.send(server.instance, GET, until=after(5), max_body=10)).body == b"new"
        answer.set()
        assert (await call).body == b"ok"
