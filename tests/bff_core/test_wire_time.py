"""No exchange outlasts its moment, however the service spreads its bytes (encode/httpx#1450)."""

import asyncio

import pytest

from bff_core.errors import TimedOut, UpstreamError
from bff_core.wire import Request
from tests.bff_core.raw_server import RawServer, Script, after, open_wire, said

pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("each_wire")]

UPLOAD = Request("POST", "/", body=bytes(16 * 1024 * 1024))


def dribbling(start: bytes, crumb: bytes) -> Script:
    """Something whole, then a crumb now and then, for ever."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        while not reader.at_eof():
            writer.write(crumb)
            await writer.drain()
            await asyncio.sleep(0.01)

    return script


async def never_reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


NEVER_DONE = {
    "silence": dribbling(b"", b""),
    "status line": dribbling(b"HTTP/1.1 200 O", b"K"),
    "header": dribbling(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
    "continue": dribbling(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body of a length": dribbling(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"x"),
    "chunks": dribbling(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "trailers": dribbling(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
    "body to the end": dribbling(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
}


@pytest.mark.parametrize("script", NEVER_DONE.values(), ids=NEVER_DONE)
async def test_a_reply_that_never_ends_is_given_up_in_time(script: Script) -> None:
    async with RawServer(script) as server, open_wire() as wire:
        until = after(0.15)
        with pytest.raises(UpstreamError) as given_up:
            await wire.send(server.instance, Request("GET", "/"), until=until, max_body=1_000_000)
        if isinstance(given_up.value, TimedOut):  # or sooner: a wire may count what comes before a reply
            assert after(0.002) > until  # the loop counts in milliseconds
        await wire.close()  # returns only when the exchange has ended as well
        assert after(-5) < until
        await asyncio.wait_for(_nobody_connected(server), 5)


async def test_a_service_that_reads_nothing_of_a_request_is_given_up_in_time() -> None:
    async with RawServer(never_reading) as server, open_wire() as wire:
        until = after(0.15)
        with pytest.raises(TimedOut):
            await wire.send(server.instance, UPLOAD, until=until, max_body=10)
        await wire.close()
        assert after(-5) < until


async def test_a_moment_that_has_passed_is_too_late_for_everything() -> None:
    async with RawServer(said(b"ok")) as server, open_wire() as wire:
        with pytest.raises(TimedOut):
            await wire.send(server.instance, Request("GET", "/"), until=after(-1), max_body=10)
        with pytest.raises(TimedOut):
            await wire.stream(server.instance, Request("GET", "/"), until=after(-1), max_body=10)


async def test_two_calls_side_by_side_keep_their_own_time() -> None:
    async with RawServer(NEVER_DONE["chunks"]) as server, open_wire() as wire:
        long = asyncio.create_task(
            wire.send(server.instance, Request("GET", "/"), until=after(0.3), max_body=1_000_000)
        )
        with pytest.raises(TimedOut):
            await wire.send(server.instance, Request("GET", "/"), until=after(0.05), max_body=1_000_000)
        assert not long.done()
        with pytest.raises(TimedOut):
            await long


async def _nobody_connected(server: RawServer) -> None:
    while server.open:
        await asyncio.sleep(0.005)
