"""Whatever a service says is a reply or a typed error, never anything else and never much memory."""

import asyncio
import gzip
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from bff_core.errors import BadReply, TimedOut, Unreachable, UpstreamError
from bff_core.wire import Instance, Reply, Request, header
from bff_core.wire.httpx import HttpxWire
from tests.bff_core.raw_server import RawServer, after, open_wire, said, unused_port

pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("each_wire")]

GET = Request("GET", "/")
OK = b"HTTP/1.1 200 OK\r\n"


async def ask(script: object, *, method: str = "GET", max_body: int = 1000, seconds: float = 5) -> Reply:
    async with RawServer(script) as server, open_wire() as wire:
        return await wire.send(server.instance, Request(method, "/"), until=after(seconds), max_body=max_body)


async def ask_piecewise(script: object, *, max_body: int = 1000, seconds: float = 5) -> Reply:
    async with RawServer(script) as server, open_wire() as wire:
        stream = await wire.stream(server.instance, GET, until=after(seconds), max_body=max_body)
        try:
            return Reply(stream.status, stream.headers, b"".join([chunk async for chunk in stream]))
        finally:
            await stream.close()


both_ways = pytest.mark.parametrize("ask", [ask, ask_piecewise], ids=["whole", "piecewise"])
Ask = Callable[..., Awaitable[Reply]]

GOOD = {
    "of a length": (said(b"body"), b"body"),
    "in chunks": (OK + b"transfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\na: b\r\n\r\n", b"body"),
    "to the end of the connection": (OK + b"\r\nbody", b"body"),
    "empty": (said(b""), b""),
    "without a body": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "not modified, with the length it would have": (b"HTTP/1.1 304 Not\r\ncontent-length: 9\r\n\r\n", b""),
    "of HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nbody", b"body"),
    "without a reason": (b"HTTP/1.1 200\r\ncontent-length: 4\r\n\r\nbody", b"body"),
    "after hints": (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 3 + said(b"body"), b"body"),
    "as long as is allowed": (said(b"x" * 1000), b"x" * 1000),
    "identity, said so": (said(b"body", headers=b"content-encoding: identity\r\n"), b"body"),
    "an error": (said(b"body", status=b"500 Oh"), b"body"),
}


@both_ways
@pytest.mark.parametrize(("reply", "body"), GOOD.values(), ids=GOOD)
async def test_a_good_reply_arrives_whole(ask: Ask, reply: bytes, body: bytes) -> None:
    found = await ask(reply)
    assert found.body == body
    assert found.status == int(reply.rpartition(b"HTTP/1.")[2].split()[1])


@both_ways
async def test_header_names_are_lower_case_and_values_as_they_were(ask: Ask) -> None:
    reply = await ask(said(b"", headers=b"X-Some-Thing: A B\r\nx-byte: \xe9\r\nx-twice: 1\r\nx-twice: 2\r\n"))
    assert header(reply.headers, b"x-some-thing") == "A B"
    assert (b"x-byte", b"\xe9") in reply.headers
    assert [value for name, value in reply.headers if name == b"x-twice"] == [b"1", b"2"]


BOMB = gzip.compress(gzip.compress(bytes(200_000_000), 1), 9)

BAD = {
    "too long, as declared": said(b"x" * 1001),
    "too long, in chunks": OK
    + b"transfer-encoding: chunked\r\n\r\n"
    + b"64\r\n"
    + b"x" * 100
    + b"\r\n"
    + b"5dc\r\n"
    + b"x" * 1500,
    "too long, to the end of the connection": OK + b"\r\n" + b"x" * 1001,
    "a bomb": said(BOMB, headers=b"content-encoding: gzip, gzip\r\n"),
    "coded as never heard of": said(b"body", headers=b"content-encoding: x-mystery\r\n"),
    "status 999": said(b"", status=b"999 Oh"),
    "status 600": said(b"", status=b"600 Oh"),
    "status 99": said(b"", status=b"099 Oh"),
    "another protocol": b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    "101 headers": said(b"", headers=b"a: b\r\n" * 100),
    "10,000 headers": said(b"", headers=b"a: b\r\n" * 10_000),
    "33 KiB of headers": said(b"", headers=b"a: " + b"b" * 33 * 1024 + b"\r\n"),
    "a header that never ends": OK + b"a: " + b"b" * 300_000,
    "garbage": b"\x00\x01\x02 hello\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" * 20,
    "a header without a colon": OK + b"nonsense\r\n\r\n",
    "a control character in a header": OK + b"a: b\x00c\r\n\r\n",
    "a length that is no number": OK + b"content-length: four\r\n\r\nbody",
    "a negative length": OK + b"content-length: -1\r\n\r\n",
    "two lengths": OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nbo",
    "a chunk size that is no number": OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    "a chunk longer than it said": OK + b"transfer-encoding: chunked\r\n\r\n1\r\nbody\r\n0\r\n\r\n",
    "a transfer coding that nobody has": OK + b"transfer-encoding: gzip\r\n\r\nbody",
}


@both_ways
@pytest.mark.parametrize("reply", BAD.values(), ids=BAD)
async def test_a_bad_reply_is_a_bad_reply(ask: Ask, reply: bytes) -> None:
    with pytest.raises(BadReply):
        await ask(reply)


BROKEN = {
    "before a word": b"",
    "in the status line": b"HTTP/1.1 20",
    "in the headers": OK + b"content-le",
    "in a body of a length": OK + b"content-length: 10\r\n\r\nbody",
    "in a chunk": OK + b"transfer-encoding: chunked\r\n\r\n9\r\nbody",
    "between chunks": OK + b"transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n",
    "after hints": b"HTTP/1.1 100 Continue\r\n\r\n" * 5,
}


@both_ways
@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
async def test_a_reply_that_breaks_off_means_that_the_service_is_unreachable(ask: Ask, reply: bytes) -> None:
    with pytest.raises(Unreachable):
        await ask(reply)


@both_ways
async def test_a_connection_that_is_reset_means_that_the_service_is_unreachable(ask: Ask) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(OK + b"content-length: 10\r\n\r\nbody")
        await writer.drain()
        writer.transport.abort()

    with pytest.raises(Unreachable):
        await ask(reset)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_port_at_which_nothing_listens_is_unreachable(scheme: str) -> None:
    instance = Instance("shop", scheme, "127.0.0.1", await unused_port())
    async with open_wire() as wire:
        with pytest.raises(Unreachable):
            await wire.send(instance, GET, until=after(5), max_body=10)
        with pytest.raises(Unreachable):
            await wire.stream(instance, GET, until=after(5), max_body=10)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 64 + ".invalid", "999.1.1.1", "a b", "é" * 70, "::g"])
async def test_a_host_that_does_not_exist_is_unreachable(host: str) -> None:
    async with open_wire() as wire:
        with pytest.raises(Unreachable):
            await wire.send(Instance("shop", "http", host, 80), GET, until=after(5), max_body=10)


async def test_a_plain_port_that_is_asked_for_tls_is_unreachable() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with RawServer(plain) as server, open_wire() as wire:
        with pytest.raises(Unreachable):
            await wire.send(server.instance._replace(scheme="https"), GET, until=after(5), max_body=10)


async def test_a_tls_handshake_that_never_answers_is_given_up_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with RawServer(silent) as server, open_wire() as wire:
        with pytest.raises(TimedOut):
            await wire.send(server.instance._replace(scheme="https"), GET, until=after(0.1), max_body=10)


async def test_hints_before_a_reply_do_not_hide_it() -> None:
    assert (await ask(b"HTTP/1.1 100 Continue\r\n\r\n" * 5 + said(b"body"))).body == b"body"


@pytest.mark.parametrize(
    "reply",
    [
        said(BOMB, headers=b"content-encoding: gzip, gzip\r\n"),
        OK + b"a: " + b"b" * 20_000_000,
        OK + b"content-length: 20000000\r\n\r\n" + b"x" * 20_000_000,
        OK + b"transfer-encoding: chunked\r\n\r\n1312d00\r\n" + b"x" * 20_000_000,
    ],
    ids=["compressed", "header", "declared", "chunked"],
)
async def test_a_reply_beyond_its_limit_takes_little_memory(reply: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for start in range(0, len(reply), 50_000):
            writer.write(reply[start : start + 50_000])
            await writer.drain()

    async with RawServer(script) as server, open_wire() as wire:
        tracemalloc.start()
        try:
            with pytest.raises(BadReply):
                await wire.send(server.instance, GET, until=after(5), max_body=100_000)
            assert tracemalloc.get_traced_memory()[1] < 3_000_000
        finally:
            tracemalloc.stop()


pieces = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 302 Found\r\n", b"HTTP/1.1 100 \r\n\r\n", b"HTTP/1.1 999\r\n", b"HTTP/1.0 ",
        b"content-length: 5\r\n", b"content-length: 99999999999999999999\r\n", b"transfer-encoding: chunked\r\n",
        b"content-encoding: gzip\r\n", b"connection: close\r\n", b"connection: keep-alive\r\n", b"location: ",
        b"set-cookie: a=b; expires=", b"\r\n", b"\n", b" folded\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"hello", b": ",
    ]
)  # fmt: skip


async def ask_both_ways(wire: HttpxWire, instance: Instance) -> None:
    for way in (wire.send, wire.stream):
        try:
            answer = await way(instance, GET, until=after(2), max_body=1000)
            body = answer.body if isinstance(answer, Reply) else b"".join([chunk async for chunk in answer])
        except UpstreamError:
            continue
        assert 200 <= answer.status <= 599
        assert len(body) <= 1000


def test_any_bytes_are_a_reply_or_a_typed_error() -> None:
    async def opened(stack: AsyncExitStack) -> tuple[RawServer, HttpxWire]:
        return await stack.enter_async_context(RawServer(b"")), await stack.enter_async_context(open_wire())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        server, wire = runner.run(opened(stack))

        @settings(max_examples=300, deadline=None)
        @given(st.lists(st.one_of(pieces, st.binary(max_size=40)), max_size=12).map(b"".join))
        def check(reply: bytes) -> None:
            server.script = reply
            runner.run(ask_both_ways(wire, server.instance))

        try:
            check()
        finally:
            runner.run(stack.aclose())
