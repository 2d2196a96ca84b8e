"""A reply that is handed on as it arrives: no faster than it is read, and let go of when nobody reads."""

import asyncio
from itertools import count

import pytest

from bff_core.errors import BadReply, TimedOut, Unreachable
from bff_core.wire import Request
from bff_core.wire.reply_body import _AHEAD as AHEAD
from tests.bff_core.raw_server import Conforming, RawServer, Script, after, open_wire, said

pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("each_wire")]

GET = Request("GET", "/")
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PLENTY = 10**12


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Endless:
    """Sends as fast as it is let."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED)
        while True:
            writer.write(chunk(bytes(64 * 1024)))
            await writer.drain()
            self.sent += 64 * 1024


def then_hanging(start: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        await reader.read()

    return script


async def test_a_chunk_can_be_read_before_the_next_one_is_sent() -> None:
    go_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + chunk(b"first"))
        await go_on.wait()
        writer.write(chunk(b"second") + chunk(b""))

    async with RawServer(script) as server, open_wire() as wire:
        stream = await wire.stream(server.instance, GET, until=after(5), max_body=100)
        chunks = aiter(stream)
        assert (stream.status, await anext(chunks)) == (200, b"first")
        go_on.set()
        assert [rest async for rest in chunks] == [b"second"]
        await stream.close()


async def test_a_long_reply_arrives_whole_and_in_order() -> None:
    parts = [b"%07d" % number * 1000 for number in range(500)]
    reply = CHUNKED + b"".join(map(chunk, parts)) + chunk(b"")
    async with RawServer(reply) as server, open_wire() as wire:
        stream = await wire.stream(server.instance, GET, until=after(5), max_body=PLENTY)
        assert b"".join([part async for part in stream]) == b"".join(parts)
        await stream.close()


async def test_a_service_cannot_run_ahead_of_a_reader_who_does_not_read() -> None:
    endless = Endless()
    async with RawServer(endless) as server, open_wire() as wire:
        stream = await wire.stream(server.instance, GET, until=after(5), max_body=PLENTY)
        before = -1
        while before < endless.sent:  # until what lies between is full: buffers of sockets, which is not ours to say
            before = endless.sent
            await asyncio.sleep(0.03)
        assert endless.sent < 50_000_000

        got = 0
        async for part in stream:
            got += len(part)
            if got > 2 * before:
                break
        assert endless.sent > before
        await stream.close()


async def test_a_stream_that_is_closed_early_makes_room_for_the_next() -> None:
    async with RawServer(Endless()) as server, open_wire(connections=1) as wire:
        for _ in range(3):
            stream = await wire.stream(server.instance, GET, until=after(5), max_body=PLENTY)
            async for _part in stream:
                break
            await stream.close()


async def test_a_stream_may_be_closed_unread_and_twice() -> None:
    async with RawServer(Endless()) as server, open_wire(connections=1) as wire:
        for _ in range(3):
            stream = await wire.stream(server.instance, GET, until=after(5), max_body=PLENTY)
            await stream.close()
            await stream.close()


async def test_a_stream_that_is_closed_when_all_of_it_has_arrived_leaves_the_connection_to_the_next() -> None:
    much = said(bytes(AHEAD + 1))
    async with RawServer(much, keeps_alive=True) as server, open_wire(connections=1) as wire:
        for _ in range(3):
            stream = await wire.stream(server.instance, GET, until=after(5), max_body=PLENTY)
            if Conforming.kind == "http1":
                while not stream._ended:
                    await asyncio.sleep(0)
            await stream.close()
            assert len((await wire.send(server.instance, GET, until=after(5), max_body=PLENTY)).body) == AHEAD + 1
        assert server.accepted == 1 or Conforming.kind == "httpx"


async def test_a_stream_that_is_closed_while_the_service_says_nothing_ends_in_time() -> None:
    async with RawServer(then_hanging(CHUNKED)) as server, open_wire(connections=1) as wire:
        stream = await wire.stream(server.instance, GET, until=after(0.1), max_body=100)
        await stream.close()
        server.script = said(b"ok")
        assert (await wire.send(server.instance, GET, until=after(5), max_body=100)).body == b"ok"


async def test_a_reply_that_breaks_off_in_the_middle_fails_where_it_is_read() -> None:
    async with RawServer(CHUNKED + chunk(b"half")) as server, open_wire() as wire:
        stream = await wire.stream(server.instance, GET, until=after(5), max_body=100)
        got = []
        with pytest.raises(Unreachable):
            async for part in stream:
                got.append(part)  # noqa: PERF401  what came before the error counts
        assert got == [b"half"]
        await stream.close()


async def test_a_body_over_its_limit_fails_where_it_is_read() -> None:
    async with RawServer(Endless()) as server, open_wire() as wire:
        stream = await wire.stream(server.instance, GET, until=after(5), max_body=100_000)
        got = 0
        with pytest.raises(BadReply):
            async for part in stream:
                got += len(part)
        assert got <= 100_000
        await stream.close()


async def test_a_reply_that_stops_arriving_times_out_where_it_is_read() -> None:
    async with RawServer(then_hanging(CHUNKED + chunk(b"half"))) as server, open_wire() as wire:
        stream = await wire.stream(server.instance, GET, until=after(0.1), max_body=100)
        with pytest.raises(TimedOut):
            async for _ in stream:
                pass
        await stream.close()


async def test_an_exchange_that_nobody_reads_ends_at_its_moment() -> None:
    async with RawServer(Endless()) as server, open_wire() as wire:
        stream = await wire.stream(server.instance, GET, until=after(0.1), max_body=PLENTY)
        await wire.close()  # returns only when the exchange has ended
        with pytest.raises((Unreachable, TimedOut)):
            async for _ in stream:
                pass


async def test_a_reader_who_never_stops_is_stopped_at_the_moment_too() -> None:
    async with RawServer(Endless()) as server, open_wire() as wire:
        stream = await wire.stream(server.instance, GET, until=after(0.1), max_body=PLENTY)
        with pytest.raises((TimedOut, Unreachable)):
            async for _ in stream:
                pass
        await stream.close()


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\ncontent-"], ids=["silence", "half a head"])
async def test_a_head_that_does_not_come_times_out(start: bytes) -> None:
    async with RawServer(then_hanging(start)) as server, open_wire() as wire:
        with pytest.raises(TimedOut):
            await wire.stream(server.instance, GET, until=after(0.1), max_body=100)


async def test_callers_who_leave_before_the_head_is_there_leave_the_wire_whole() -> None:
    async with RawServer(then_hanging(b"")) as server, open_wire(connections=2) as wire:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await wire.stream(server.instance, GET, until=after(0.2), max_body=100)
        server.script = said(b"ok")
        for _ in range(2):
            assert (await wire.send(server.instance, GET, until=after(5), max_body=100)).body == b"ok"


async def test_readers_who_are_cancelled_at_random_leave_every_connection_usable() -> None:
    endless = Endless()
    room = 3 if Conforming.kind == "httpx" else 9  # the other one refuses where there is none
    async with RawServer(endless) as server, open_wire(connections=room) as wire:
        patience = count(1)

        async def read() -> None:
            stream = await wire.stream(server.instance, GET, until=after(5), max_body=PLENTY)
            try:
                async with asyncio.timeout(next(patience) % 7 / 1000):
                    async for _ in stream:
                        pass
            except TimeoutError:
                pass
            finally:
                await stream.close()

        for _ in range(5):
            await asyncio.gather(*(read() for _ in range(9)))
        server.script = said(b"ok")
        for _ in range(3):
            assert (await wire.send(server.instance, GET, until=after(5), max_body=100)).body == b"ok"
