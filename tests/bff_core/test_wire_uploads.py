"""A request's body that comes piece by piece goes out piece by piece, once, and no faster than it is taken."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bff_core.errors import BadReply, TimedOut, TooLate, Unreachable
from bff_core.wire import Reply, Request
from bff_core.wire.contract import Wire
from tests.bff_core.raw_server import Conforming, RawServer, after, open_wire, said

pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("each_wire")]

OK = said(b"ok")


@dataclass
class Source:
    """Yields its pieces, and says what became of it."""

    pieces: list[bytes | BaseException | asyncio.Event]
    given: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for piece in self.pieces:
                if isinstance(piece, BaseException):
                    raise piece
                if isinstance(piece, asyncio.Event):
                    await piece.wait()
                    continue
                self.given += len(piece)
                yield piece
        finally:
            self.closed.set()

    async def ended(self) -> None:
        """Nobody asks it for more."""
        async with asyncio.timeout(5):
            await self.closed.wait()


class Endless(Source):
    """Never runs dry."""

    def __init__(self) -> None:
        super().__init__([bytes(16 * 1024)] * 100_000)


class Taker:
    """Takes requests whole, and keeps their heads and bodies."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head.lower())
            self.bodies.append(await self._body(head.lower(), reader))
            writer.write(OK)
            await writer.drain()

    async def _body(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        if b"transfer-encoding: chunked\r\n" not in head:
            _, _, rest = head.partition(b"content-length: ")
            return await reader.readexactly(int(rest.split()[0])) if rest else b""
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += await reader.readexactly(size)
            assert await reader.readexactly(2) == b"\r\n"
        assert await reader.readexactly(2) == b"\r\n"
        return body


def post(source: Source, *headers: tuple[bytes, bytes], method: str = "POST") -> Request:
    return Request(method, "/", headers, source)


async def whole(wire: Wire, server: RawServer, request: Request, seconds: float = 5) -> Reply:
    return await wire.send(server.instance, request, until=after(seconds), max_body=1000)


async def piecewise(wire: Wire, server: RawServer, request: Request, seconds: float = 5) -> Reply:
    stream = await wire.stream(server.instance, request, until=after(seconds), max_body=1000)
    try:
        return Reply(stream.status, stream.headers, b"".join([part async for part in stream]))
    finally:
        await stream.close()


both_ways = pytest.mark.parametrize("ask", [whole, piecewise])
Ask = Callable[..., Reply]


@both_ways
async def test_a_body_goes_out_in_chunks_and_the_connection_is_used_again(ask: Ask) -> None:
    taker = Taker()
    async with RawServer(taker) as server, open_wire() as wire:
        for _ in range(3):
            source = Source([b"one, ", b"", b"two, ", b"three"])
            assert (await ask(wire, server, post(source))).body == b"ok"
            assert source.closed.is_set()
        assert taker.bodies == [b"one, two, three"] * 3
        assert all(b"transfer-encoding: chunked\r\n" in head and b"content-length" not in head for head in taker.heads)
        assert server.accepted == 1


@both_ways
async def test_a_body_of_a_length_goes_out_as_it_is(ask: Ask) -> None:
    taker = Taker()
    async with RawServer(taker) as server, open_wire() as wire:
        for pieces in ([b"seven", b"", b"tw"], [b"seventw"]):
            await ask(wire, server, post(Source(pieces), (b"content-length", b"7")))
        await ask(wire, server, post(Source([]), (b"content-length", b"0")))
        assert taker.bodies == [b"seventw", b"seventw", b""]
        assert all(b"transfer-encoding" not in head for head in taker.heads)
        assert server.accepted == 1


async def test_nothing_at_all_is_a_body_too() -> None:
    taker = Taker()
    async with RawServer(taker) as server, open_wire() as wire:
        assert (await whole(wire, server, post(Source([])))).body == b"ok"
    assert taker.bodies == [b""]


async def test_a_piece_is_sent_before_the_next_one_is_there() -> None:
    go_on = asyncio.Event()
    seen = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"first\r\n")
        seen.set()
        await reader.readuntil(b"second\r\n0\r\n\r\n")
        writer.write(OK)

    async with RawServer(script) as server, open_wire() as wire:
        call = asyncio.create_task(whole(wire, server, post(Source([b"first", go_on, b"second"]))))
        await seen.wait()
        go_on.set()
        assert (await call).body == b"ok"


@both_ways
@pytest.mark.parametrize("pieces", [[b"seven"], [], [b"seven", b"two", b"many"], [b"x" * 100_000]], ids=len)
async def test_a_body_that_is_not_as_long_as_it_says_is_a_bug_of_ours_and_ends_the_connection(
    ask: Ask, pieces: list[bytes]
) -> None:
    taker = Taker()
    async with RawServer(taker) as server, open_wire() as wire:
        with pytest.raises(ValueError, match=r"(?i)content-length|of 7 bytes"):
            await ask(wire, server, post(Source(pieces), (b"content-length", b"7")))
        assert (await ask(wire, server, Request("GET", "/"))).body == b"ok"
        assert server.accepted == 2
        assert [body for body in taker.bodies if body] == []


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"7"), (b"content-length", b"7")],
        [(b"content-length", b"+7")],
        [(b"content-length", b"")],
        [(b"transfer-encoding", b"gzip, chunked")],
    ],
)
async def test_headers_that_do_not_say_clearly_how_long_a_body_is_are_a_bug_of_ours(
    headers: list[tuple[bytes, bytes]],
) -> None:
    async with RawServer(OK) as server, open_wire() as wire:
        with pytest.raises(ValueError, match="how long its body is"):
            await whole(wire, server, post(Source([b"seven"]), *headers))
        assert server.accepted == 0


class Gone(Exception):
    """Whoever was sending the body is not there any more."""


@both_ways
@pytest.mark.parametrize("after_pieces", [0, 3])
async def test_a_source_that_fails_fails_the_call_with_its_own_error_and_nothing_else(
    ask: Ask, after_pieces: int
) -> None:
    taker = Taker()
    async with RawServer(taker) as server, open_wire(connections=1) as wire:
        for _ in range(2):
            source = Source([*[b"piece"] * after_pieces, Gone("away")])
            with pytest.raises(Gone, match="away"):
                await ask(wire, server, post(source))
            assert source.closed.is_set()
        assert (await ask(wire, server, Request("GET", "/"))).body == b"ok"
        assert taker.bodies == [b""]  # of the requests that broke off, none was taken for a whole one


async def test_a_source_that_is_too_slow_is_not_the_service_s_fault() -> None:
    source = Source([b"first", asyncio.Event()])
    async with RawServer(Taker()) as server, open_wire() as wire:
        until = after(0.1)
        # the other wire gives up at the same moment, and does not know why
        with pytest.raises((TooLate, TimedOut) if Conforming.kind == "httpx" else TooLate):
            await wire.send(server.instance, post(source), until=until, max_body=100)
        assert after(-2) < until
        await source.ended()


async def test_a_service_that_takes_nothing_is_given_up_in_time_and_holds_up_the_source() -> None:
    async def never_reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    source = Endless()
    async with RawServer(never_reading) as server, open_wire() as wire:
        with pytest.raises(TimedOut):
            await whole(wire, server, post(source), seconds=0.3)
        assert source.given < 20_000_000  # what sockets hold, which is not ours to say
        await source.ended()


async def test_a_large_body_arrives_whole_at_the_pace_of_a_slow_service() -> None:
    got = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await reader.readuntil(b"\r\n\r\n")
        while got < 30_000_000:
            got += len(await reader.read(1_000_000))
            await asyncio.sleep(0)
        writer.write(OK)

    async with RawServer(slow) as server, open_wire() as wire:
        source = Source([bytes(100_000)] * 300)
        reply = await whole(wire, server, post(source, (b"content-length", b"30000000")))
    assert (reply.body, got) == (b"ok", 30_000_000)


REFUSED = said(b"too much", status=b"413 Content Too Large")


@pytest.mark.parametrize("body", ["a source", "a source that waits", "bytes"])
async def test_a_reply_that_comes_before_the_body_was_sent_is_delivered_and_sending_stops(body: str) -> None:
    gone = asyncio.Event()

    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(REFUSED)
        await writer.drain()
        reader._transport.pause_reading()
        with suppress(OSError):
            await asyncio.sleep(0.05)
            reader._transport.resume_reading()
            while await reader.read(100_000):
                pass
        gone.set()

    if Conforming.kind == "httpx" and body == "a source that waits":
        pytest.skip("httpcore reads no reply before it has sent the request, or cannot")
    source = Endless() if body == "a source" else Source([b"first", asyncio.Event()])
    request = Request("POST", "/", body=bytes(30_000_000)) if body == "bytes" else post(source)
    async with RawServer(refuses) as server, open_wire() as wire:
        try:
            reply = await wire.send(server.instance, request, until=after(1), max_body=100)
        except (TimedOut, Unreachable):
            assert Conforming.kind == "httpx"
            return
        assert (reply.status, reply.body) == (413, b"too much")
        if Conforming.kind == "http1":
            await asyncio.wait_for(gone.wait(), 5)
            assert source.given < 30_000_000
            server.script = OK
            assert (await whole(wire, server, Request("GET", "/"))).body == b"ok"
            assert server.accepted == 2


async def test_the_head_of_a_reply_may_come_while_the_body_is_still_being_sent() -> None:
    if Conforming.kind == "httpx":
        pytest.skip("httpcore reads no reply before it has sent the request")
    go_on = asyncio.Event()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"first\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
        await reader.readuntil(b"second\r\n0\r\n\r\n")
        writer.write(b"done")

    async with RawServer(echo) as server, open_wire() as wire:
        request = post(Source([b"first", go_on, b"second"]))
        stream = await wire.stream(server.instance, request, until=after(5), max_body=100)
        go_on.set()
        assert [part async for part in stream] == [b"done"]
        await stream.close()


async def test_a_source_that_fails_behind_the_head_of_the_reply_fails_where_the_reply_is_read() -> None:
    if Conforming.kind == "httpx":
        pytest.skip("httpcore reads no reply before it has sent the request")
    go_on = asyncio.Event()

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"first\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
        await reader.read()

    async with RawServer(early) as server, open_wire() as wire:
        request = post(Source([b"first", go_on, Gone("away")]))
        stream = await wire.stream(server.instance, request, until=after(5), max_body=100)
        go_on.set()
        with pytest.raises(Gone):
            async for _ in stream:
                pass
        await stream.close()


async def test_a_stream_that_is_closed_stops_what_is_sent() -> None:
    if Conforming.kind == "httpx":
        pytest.skip("httpcore reads no reply before it has sent the request")

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"first\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
        await reader.read()

    source = Source([b"first", asyncio.Event()])
    async with RawServer(early) as server, open_wire() as wire:
        stream = await wire.stream(server.instance, post(source), until=after(5), max_body=100)
        await stream.close()
        await source.ended()


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_what_cannot_be_sent_twice_is_not(method: str) -> None:
    heads = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        heads.append(await reader.readuntil(b"\r\n\r\n"))

    async with RawServer(once) as server, open_wire() as wire:
        await whole(wire, server, Request("GET", "/"))
        source = Source([b"body"])
        with pytest.raises(Unreachable):
            await whole(wire, server, post(source, method=method))
        assert len(heads) == 2
        assert source.given <= 4


async def test_a_kept_connection_that_the_service_has_closed_is_not_tried_with_a_body_that_can_be_sent_once() -> None:
    async with RawServer(OK) as server, open_wire() as wire:
        await whole(wire, server, Request("GET", "/"))
        while server.open:
            await asyncio.sleep(0)
        taker = server.script = Taker()
        assert (await whole(wire, server, post(Source([b"body"]), method="PUT"))).body == b"ok"
        assert taker.bodies == [b"body"]


async def test_a_reply_that_is_bad_stops_what_is_sent() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"first\r\n")
        writer.write(b"nonsense\r\n\r\n")
        await reader.read()

    if Conforming.kind == "httpx":
        pytest.skip("httpcore reads no reply before it has sent the request")
    source = Source([b"first", asyncio.Event()])
    async with RawServer(nonsense) as server, open_wire() as wire:
        with pytest.raises(BadReply):
            await whole(wire, server, post(source))
        await source.ended()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=8), st.booleans())
async def test_any_pieces_arrive_as_one_body(pieces: list[bytes], sized: bool) -> None:
    taker = Taker()
    headers = [(b"content-length", b"%d" % sum(map(len, pieces)))] if sized else []
    async with RawServer(taker) as server, open_wire() as wire:
        await whole(wire, server, post(Source(pieces), *headers))
    assert taker.bodies == [b"".join(pieces)]
