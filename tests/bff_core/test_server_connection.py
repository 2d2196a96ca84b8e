"""One connection of a client: what is refused, what ends, and what never lands in the midst of a reply."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

import pytest
import uvloop
from fastapi import APIRouter, BackgroundTasks, FastAPI, Request
from fastapi.responses import StreamingResponse
from hypothesis import example, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from bff_core.errors import NotFound
from tests.bff_core.served import Client, Reply, Served, get, logged
from tests.bff_core.small_gateway import small_gateway

pytestmark = pytest.mark.real_time

who: ContextVar[str] = ContextVar("who", default="nobody")


class Desk:
    """A gateway whose pages tell what became of them, and go on when the test says so."""

    def __init__(self, **changed: Any) -> None:
        router = APIRouter()
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        for name in ("echo", "wait", "broken", "missing", "stream", "breaks_off", "background", "fails_later", "who"):
            router.add_api_route(f"/{name}", getattr(self, name))
        router.add_api_route("/upload", self.upload, methods=["POST"])
        router.add_api_route("/path/{path:path}", self.path)
        self.app: FastAPI = small_gateway(router, **changed)

    async def echo(self, request: Request) -> str:
        return request.scope["raw_path"].decode() + "?" + request.scope["query_string"].decode()

    async def path(self, path: str) -> str:
        return path

    async def wait(self) -> str:
        self.began.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.ended.put_nowait("cancelled")
            raise
        return "waited"

    async def broken(self) -> str:
        raise ZeroDivisionError

    async def missing(self) -> str:
        raise NotFound("nothing")

    async def stream(self) -> StreamingResponse:
        return StreamingResponse(self._pieces())

    async def _pieces(self) -> AsyncIterator[bytes]:
        try:
            yield b"begun, "
            self.began.set()
            await self.go_on.wait()
            yield b"ended"
        finally:
            self.ended.put_nowait("stream")

    async def breaks_off(self, *, expected: bool = False) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"begun"
            raise NotFound("the rest") if expected else ZeroDivisionError

        return StreamingResponse(pieces())

    async def background(self, tasks: BackgroundTasks) -> str:
        async def afterwards() -> None:
            self.began.set()
            await self.go_on.wait()
            self.ended.put_nowait("afterwards")

        tasks.add_task(afterwards)
        return "answered"

    async def fails_later(self, tasks: BackgroundTasks) -> str:
        async def afterwards() -> None:
            raise ZeroDivisionError

        tasks.add_task(afterwards)
        return "x" * 100_000

    async def who(self, name: str = "") -> str:
        before = who.get()
        who.set(name)
        return before

    async def upload(self, request: Request) -> int:
        size = 0
        try:
            async for piece in request.stream():
                size += len(piece)
                self.began.set()
        except asyncio.CancelledError:
            self.ended.put_nowait("upload")
            raise
        return size


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that a client does here is worth a warning."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def problem(reply: Reply) -> tuple[int, str]:
    """Status and kind of a problem that went through the whole front door."""
    assert reply.values(b"content-type") == [b"application/problem+json"]
    assert reply.values(b"x-content-type-options") == [b"nosniff"]
    said = json.loads(reply.body)
    assert (said["status"], [said["instance"].encode()]) == (reply.status, reply.values(b"x-request-id"))
    return reply.status, said["type"].removeprefix("/problems/")


# What is refused

TOO_LARGE = {
    "a target": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nhost: gateway.test\r\n\r\n", 414),
    "an absolute target": (b"GET http://" + b"x" * 9000 + b" HTTP/1.1\r\nhost: gateway.test\r\n\r\n", 414),
    "a header": (get("/", "a: " + "x" * 33_000), 431),
    "the name of a header": (get("/", "x" * 33_000 + ": a"), 431),
    "many headers": (get("/", *["a: b"] * 101), 431),
    "many headers that are long": (get("/", *["a: " + "b" * 1000] * 40), 431),
}


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("said", "status"), TOO_LARGE.values(), ids=TOO_LARGE)
@pytest.mark.parametrize("piece", [1_000_000, 1000])
async def test_a_head_that_is_too_large_is_refused_by_the_whole_front_door(
    desk: Desk, said: bytes, status: int, piece: int
) -> None:
    async with logged() as lines, Served(desk.app) as served:
        client = await served.client()
        for start in range(0, len(said), piece):
            with suppress(ConnectionError):
                await client.say(said[start : start + piece])
        reply = await client.reply()
        assert problem(reply) == (status, "too-large")
        assert reply.closes
        assert await client.rest() == b""
        line = await lines.get()
    assert (line.status, lines.empty()) == (status, True)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("begin", "more", "status"),
    [
        (b"GET /", b"x" * 100, 414),
        (b"GET / HTTP/1.1\r\nhost: gateway.test\r\na: ", b"x" * 100, 431),
        (b"GET / HTTP/1.1\r\nhost: gateway.test\r\n", b"x" * 100, 431),
        (b"GET / HTTP/1.1\r\nhost: gateway.test\r\n", b"a: b\r\n" * 10, 431),
    ],
)
async def test_a_head_without_end_is_refused_while_it_is_read(
    desk: Desk, begin: bytes, more: bytes, status: int
) -> None:
    async with Served(desk.app) as served:
        client = await served.ask(begin)
        answer = asyncio.create_task(client.reply())
        said = 0
        with suppress(ConnectionError):
            while not answer.done() and said < 1_000_000:
                await client.say(more)
                said += len(more)
                await asyncio.sleep(0)
        assert problem(await answer) == (status, "too-large")
    assert said < 200_000


@pytest.mark.usefixtures("quiet")
async def test_what_stands_behind_a_body_has_an_end_too_and_is_no_part_of_the_head(desk: Desk) -> None:
    head = get("/upload", "transfer-encoding: chunked", method="POST")
    async with Served(desk.app) as served:
        client = await served.ask(head + b"1\r\na\r\n0\r\nhost: evil.test\r\na: b\r\n\r\n")
        assert (await client.reply()).body == b"1"
        for more in (b"a: b\r\n" * 10, b"x" * 100):
            client = await served.ask(head + b"1\r\na\r\n0\r\n")
            answer = asyncio.create_task(client.reply())
            with suppress(ConnectionError):
                while not answer.done():
                    await client.say(more)
                    await asyncio.sleep(0)
            assert problem(await answer) == (400, "invalid-request")
            assert await client.rest() == b""


NONSENSE = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "words": b"hello\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version that is none": b"GET / HTTP/2.0\r\nhost: gateway.test\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "both lengths": get("/", "content-length: 1", "transfer-encoding: chunked"),
    "two lengths": get("/", "content-length: 1", "content-length: 1"),
    "a folded header": get("/", "a: b\r\n c"),
    "a name with a space": get("/", "a b: c"),
    "a line feed alone": b"GET / HTTP/1.1\nhost: gateway.test\n\n",
    "CONNECT": get("shop.test:443", method="CONNECT"),
    "a target for all": get("*"),
    "no scheme we know": get("ftp://gateway.test/echo"),
    "a name in the target": get("http://me@gateway.test/echo"),
    "a fragment": get("/echo#part"),
    "bytes in the target": b"GET /\xff HTTP/1.1\r\nhost: gateway.test\r\n\r\n",
    "two hosts": get("/echo", "host: gateway.test"),
    "no host": b"GET /echo HTTP/1.1\r\n\r\n",
}


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
async def test_what_is_no_request_is_told_so(desk: Desk, said: bytes) -> None:
    async with logged() as lines, Served(desk.app) as served:
        client = await served.ask(said)
        assert problem(await client.reply()) == (400, "invalid-request")
        assert (await lines.get()).status == 400


GARBAGE = [b"\x00garbage\r\n\r\n", get("/", "a b: c"), TOO_LARGE["a target"][0], TOO_LARGE["a header"][0]]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("page", ["/wait", "/stream"])
async def test_nonsense_while_a_reply_is_under_way_is_answered_after_it_and_never_in_its_midst(
    desk: Desk, page: str, garbage: bytes
) -> None:
    async with Served(desk.app) as served:
        client = await served.ask(get(page))
        await desk.began.wait()
        await client.say(garbage)
        await client.say(get("/echo"))
        await asyncio.sleep(0.01)  # long enough for an answer that should not come
        desk.go_on.set()
        reply = await client.reply()
        assert (reply.status, reply.body) in [(200, b'"waited"'), (200, b"begun, ended")]
        refused = await client.reply()
        assert refused.status in {400, 414, 431}
        assert refused.closes
        assert await client.rest() == b""


@pytest.mark.usefixtures("quiet")
async def test_a_body_that_turns_into_nonsense_is_a_bad_request_and_the_last(desk: Desk) -> None:
    async with Served(desk.app) as served:
        client = await served.ask(get("/upload", "transfer-encoding: chunked", method="POST") + b"1\r\na\r\n")
        await desk.began.wait()
        await client.say(b"nonsense\r\n")
        reply = await client.reply()
        assert problem(reply) == (400, "invalid-request")
        assert reply.closes
        assert await client.rest() == b""


@pytest.mark.usefixtures("quiet")
async def test_a_body_that_turns_into_nonsense_after_the_reply_ends_the_connection(desk: Desk) -> None:
    async with Served(desk.app) as served:
        client = await served.ask(get("/nowhere", "transfer-encoding: chunked", method="POST") + b"1\r\na\r\n")
        assert (await client.reply()).status == 404
        await client.say(b"nonsense\r\n")
        assert await client.rest() == b""


# Many requests over one connection


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("number", [2, 15, 200])
async def test_requests_that_are_sent_together_are_answered_in_order(desk: Desk, number: int) -> None:
    async with Served(desk.app) as served:
        client = await served.ask(b"".join(get(f"/echo?{place}") for place in range(number)))
        for place in range(number):
            assert (await client.reply()).body == b'"/echo?%d"' % place


@pytest.mark.usefixtures("quiet")
async def test_a_client_that_sends_more_than_we_keep_is_answered_what_we_kept_and_told_to_come_again() -> None:
    desk = Desk()
    short = b"GET /echo HTTP/1.1\r\nhost:gateway.test\r\n\r\n"
    async with Served(desk.app) as served:
        client = await served.ask(get("/wait"))
        await desk.began.wait()
        with suppress(ConnectionError):
            await client.say(short * 5000)
        (connection,) = served.state.connections
        assert len(connection.pipeline) <= 1000
        desk.go_on.set()
        replies = [await client.reply()]
        while not replies[-1].closes:
            replies.append(await client.reply())
        assert len(replies) <= 1001
        with suppress(ConnectionError):
            assert await client.rest() == b""


async def test_a_request_knows_nothing_of_the_one_before_it(desk: Desk) -> None:
    async with Served(desk.app) as served:
        client = await served.ask(get("/who?name=alice") + get("/who?name=bob") + get("/who"))
        assert [(await client.reply()).body for _ in range(3)] == [b'"nobody"'] * 3


REPLIES = (
    get("/echo?1")
    + get("/missing")
    + get("/upload", "content-length: 5", method="POST")
    + b"hello"
    + get("/upload", "transfer-encoding: chunked", method="POST")
    + b"3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nt: u\r\n\r\n"
    + get("/echo?2", "upgrade: h2c", "connection: upgrade, http2-settings")
    + get("/upload", "upgrade: websocket", "connection: upgrade", "content-length: 5", method="POST")
    + b"hello"
    + get("/nowhere", method="HEAD")
    + get("/echo?3", "connection: close")
)
STATUSES = [200, 404, 200, 200, 200, 200, 404, 200]


async def answers(said: list[bytes]) -> list[tuple[int, bytes]]:
    async with Served(Desk().app) as served:
        client = await served.client()
        for piece in said:
            await client.say(piece)
            for _ in range(3):
                await asyncio.sleep(0)  # let it be read by itself
        replies = [await client.reply(to_head=place == 6) for place in range(len(STATUSES))]
        assert await client.rest() == b""
    return [(reply.status, reply.body if reply.status == 200 else b"") for reply in replies]


def in_real_time(main: Any) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


WHOLE = [
    (200, b'"/echo?1"'),
    (404, b""),
    (200, b"5"),
    (200, b"5"),
    (200, b'"/echo?2"'),
    (200, b"5"),
    (404, b""),
    (200, b'"/echo?3"'),
]


@given(st.sets(st.integers(1, len(REPLIES) - 1), max_size=8))
@effort(deadline=None, max_examples=60)
@example(set())
@example(set(range(1, len(REPLIES))))
def test_where_the_network_cuts_requests_changes_nothing(cuts: set[int]) -> None:
    places = [0, *sorted(cuts), len(REPLIES)]
    said = [REPLIES[start:end] for start, end in pairwise(places)]
    assert in_real_time(answers(said)) == WHOLE


# Clients that leave


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("how", [Client.leave, Client.vanish])
async def test_a_client_that_leaves_ends_its_page_at_once(desk: Desk, how: Callable[[Client], None]) -> None:
    async with logged() as lines, Served(desk.app) as served:
        client = await served.ask(get("/wait"))
        await desk.began.wait()
        how(client)
        async with asyncio.timeout(0.1):
            assert await desk.ended.get() == "cancelled"
        assert (await lines.get()).status == 499


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("how", [Client.leave, Client.vanish])
async def test_a_client_that_leaves_as_soon_as_it_has_asked_is_logged_as_well(
    desk: Desk, how: Callable[[Client], None]
) -> None:
    async with logged() as lines, Served(desk.app) as served:
        client = await served.client()
        client._writer.write(get("/wait"))
        how(client)
        if how is Client.leave or served.state.tasks:
            assert (await asyncio.wait_for(lines.get(), 1)).status == 499


@pytest.mark.usefixtures("quiet")
async def test_a_client_that_leaves_before_its_request_has_begun_is_logged_and_leaves_nothing() -> None:
    desk = Desk()
    async with logged() as lines, Served(desk.app) as served:
        client = await served.client()
        while not served.state.connections:
            await asyncio.sleep(0)
        (connection,) = served.state.connections
        connection.data_received(get("/wait"))
        connection.connection_lost(None)
        assert (await asyncio.wait_for(lines.get(), 1)).status == 499
        client.vanish()


@pytest.mark.usefixtures("quiet")
async def test_a_client_that_leaves_with_more_to_ask_is_answered_nothing_more(desk: Desk) -> None:
    async with logged() as lines, Served(desk.app) as served:
        client = await served.ask(get("/wait") + get("/echo?1") + get("/echo?2"))
        await desk.began.wait()
        client.leave()
        assert await desk.ended.get() == "cancelled"
        await served.empty()
    assert [line.status for line in drained(lines)] == [499]


def drained(queue: asyncio.Queue[Any]) -> list[Any]:
    return [queue.get_nowait() for _ in range(queue.qsize())]


@pytest.mark.usefixtures("quiet")
async def test_a_client_that_leaves_in_its_upload_ends_it(desk: Desk) -> None:
    async with logged() as lines, Served(desk.app) as served:
        client = await served.ask(get("/upload", "content-length: 100", method="POST") + b"x" * 10)
        await desk.began.wait()
        client.leave()
        assert await asyncio.wait_for(desk.ended.get(), 0.1) == "upload"
        assert (await lines.get()).status == 499


@pytest.mark.usefixtures("quiet")
async def test_a_client_that_leaves_in_a_reply_ends_it(desk: Desk) -> None:
    async with Served(desk.app) as served:
        client = await served.ask(get("/stream"))
        await desk.began.wait()
        client.vanish()
        assert await asyncio.wait_for(desk.ended.get(), 0.1) == "stream"


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("how", [Client.leave, Client.vanish])
async def test_what_goes_on_after_the_reply_is_not_ended_by_the_client(
    desk: Desk, how: Callable[[Client], None]
) -> None:
    async with Served(desk.app) as served:
        client = await served.ask(get("/background"))
        assert (await client.reply()).body == b'"answered"'
        await desk.began.wait()
        how(client)
        while served.state.connections:
            await asyncio.sleep(0)
        desk.go_on.set()
        assert await asyncio.wait_for(desk.ended.get(), 1) == "afterwards"


async def test_what_fails_after_the_reply_costs_neither_this_reply_nor_the_next(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    async with Served(desk.app) as served:
        client = await served.ask(get("/fails_later") + get("/echo"))
        assert len((await client.reply()).body) == 100_002
        assert (await client.reply()).status == 200
    assert "an app failed after its reply" in caplog.text


async def test_a_reply_that_breaks_off_never_looks_whole(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    async with Served(desk.app) as served:
        client = await served.ask(get("/breaks_off") + get("/echo"))
        with suppress(ConnectionError):
            assert b"0\r\n\r\n" not in await client.rest()
        client = await served.ask(get("/breaks_off").replace(b"1.1", b"1.0"))
        with pytest.raises(ConnectionResetError):
            await client.rest()
    assert "an app failed in its reply" in caplog.text


@pytest.mark.usefixtures("quiet")
async def test_a_client_that_was_reset_is_not_remembered(desk: Desk) -> None:
    """uvicorn keeps it until the time for idle connections is over."""
    async with Served(desk.app) as served:
        client = await served.ask(get("/echo"))
        await client.reply()
        (connection,) = served.state.connections
        client.vanish()
        await served.empty()
        assert connection.timeout_keep_alive_task is None


# How long a connection is kept


@pytest.mark.usefixtures("quiet")
async def test_a_connection_is_kept_until_the_gateway_drains(desk: Desk) -> None:
    async with Served(desk.app) as served:
        idle, busy = await served.client(), await served.ask(get("/wait"))
        several = await served.ask(get("/wait") + get("/echo") * 2)
        assert not (await (await idle.say(get("/echo"))).reply()).closes
        await desk.began.wait()
        served.door.draining = True
        for connection in served.state.connections:
            connection.drain()
        desk.go_on.set()
        assert (await busy.reply()).closes
        assert [(await several.reply()).closes for _ in range(3)] == [False, False, True]
        assert (await (await idle.say(get("/echo"))).reply()).closes
        new = await served.ask(get("/nowhere"))
        assert (await new.reply()).closes
        for client in (idle, busy, several, new):
            assert await client.rest() == b""


@pytest.mark.usefixtures("quiet")
async def test_at_the_end_what_is_idle_is_closed_and_what_is_asked_is_answered(desk: Desk) -> None:
    async with Served(desk.app) as served:
        idle, busy = await served.client(), await served.ask(get("/wait"))
        await desk.began.wait()
        for connection in list(served.state.connections):
            connection.shutdown()
        assert await idle.rest() == b""
        desk.go_on.set()
        assert (await busy.reply()).closes
        assert await busy.rest() == b""


@pytest.mark.usefixtures("quiet")
async def test_a_connection_too_many_is_refused_and_nobody_asks_the_app(desk: Desk) -> None:
    async with logged() as lines, Served(desk.app, connections=2) as served:
        first, second = [await served.ask(get("/echo")) for _ in range(2)]
        assert [(await client.reply()).status for client in (first, second)] == [200, 200]
        third = await served.client()
        with suppress(ConnectionError):
            await third.say(get("/echo"))
        reply = await third.reply()
        assert (reply.status, reply.values(b"retry-after"), reply.closes) == (503, [b"1"], True)
        first.leave()
        while len(served.state.connections) > 1:
            await asyncio.sleep(0)
        assert (await (await served.ask(get("/echo"))).reply()).status == 200
    assert len(drained(lines)) == 3


# Other versions, methods and targets


@pytest.mark.usefixtures("quiet")
async def test_http_1_0_gets_replies_it_understands(desk: Desk) -> None:
    desk.go_on.set()
    async with Served(desk.app) as served:
        for path, body in (("/echo", b'"/echo?"'), ("/stream", b"begun, ended")):
            client = await served.ask(get(path, "connection: keep-alive").replace(b"1.1", b"1.0"))
            reply = await client.reply()
            assert (reply.status, reply.body, reply.closes) == (200, body, True)
            assert not reply.values(b"transfer-encoding")
            assert await client.rest() == b""


@pytest.mark.usefixtures("quiet")
async def test_head_has_a_head_and_no_body(desk: Desk) -> None:
    async with Served(desk.app) as served:
        client = await served.ask(get("/echo", method="HEAD") + get("/echo"))
        assert (await client.reply(to_head=True)).values(b"content-length") == [b"8"]
        assert (await client.reply()).body == b'"/echo?"'


@pytest.mark.usefixtures("quiet")
async def test_who_waits_to_be_asked_for_its_body_is_asked(desk: Desk) -> None:
    async with Served(desk.app) as served:
        client = await served.ask(get("/upload", "expect: 100-continue", "content-length: 5", method="POST"))
        assert (await client.head())[0] == 100
        assert (await (await client.say(b"hello")).reply()).body == b"5"
        client = await served.ask(get("/nowhere", "expect: 100-continue", "content-length: 5", method="POST"))
        assert (await client.head())[0] == 404


@pytest.mark.usefixtures("quiet")
async def test_http_1_0_is_not_asked_to_go_on(desk: Desk) -> None:
    said = get("/upload", "expect: 100-continue", "content-length: 5", method="POST").replace(b"1.1", b"1.0")
    async with Served(desk.app) as served:
        assert (await (await served.ask(said + b"hello")).reply()).body == b"5"


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("protocol", ["websocket", "h2c", "nonsense"])
async def test_who_asks_for_another_protocol_gets_this_one_and_loses_nothing(desk: Desk, protocol: str) -> None:
    upgrade = (f"upgrade: {protocol}", "connection: upgrade")
    async with Served(desk.app) as served:
        client = await served.ask(
            get("/upload", *upgrade, "content-length: 40", method="POST")
            + get("/who?name=smuggled").ljust(40)[:40]
            + get("/echo?next", *upgrade) * 2000
        )
        assert (await client.reply()).body == b"40"
        assert (await client.reply()).body == b'"/echo?next"'
        client.leave()


@pytest.mark.usefixtures("quiet")
async def test_a_target_may_be_for_the_whole_server(desk: Desk) -> None:
    async with Served(desk.app) as served:
        assert (await (await served.ask(get("*", method="OPTIONS"))).reply()).status == 404


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://gateway.test/echo?a=b", "gateway.test", 200),
        ("HTTP://GATEWAY.test:80/echo?a=b", "gateway.test", 200),
        ("http://gateway.test/echo?a=b", "evil.test", 200),
        ("http://evil.test/echo?a=b", "gateway.test", 421),
        ("http://gateway.test", "gateway.test", 404),
        ("http://gateway.test?a=http://x/", "gateway.test", 404),
        ("http://[::1]:80/echo?a=b", "gateway.test", 200),
    ],
)
async def test_the_host_in_a_target_counts_more_than_the_header(
    desk: Desk, target: str, host: str, status: int
) -> None:
    async with Served(desk.app) as served:
        reply = await (await served.ask(get(target, host=host))).reply()
        assert (reply.status, reply.body) == (200, b'"/echo?a=b"') if status == 200 else reply.status == status


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("path", "body"),
    [("%00", "\x00"), ("%ED%A0%80", "\ufffd" * 3), ("%", "%"), ("%zz", "%zz"), ("a%2Fb", "a/b")],
)
async def test_any_path_is_a_path(desk: Desk, path: str, body: str) -> None:
    async with Served(desk.app) as served:
        reply = await (await served.ask(get(f"/path/{path}"))).reply()
        assert (reply.status, json.loads(reply.body)) == (200, body)


# What is left behind


async def visit(desk: Desk, served: Served, path: str) -> None:
    desk.began.clear()
    client = await served.ask(get("/stream" if path == "/left" else path) if path != "/garbage" else b"garbage\r\n\r\n")
    if path in {"/wait", "/left"}:
        await desk.began.wait()
        client.vanish()
    elif path.startswith("/breaks_off"):
        await client.rest()
    else:
        await client.reply()
        client.leave()
    await client.gone()
    served._clients.clear()
    await served.empty()


VISITS = ["/echo", "/stream", "/who?name=1", "/wait", "/left", "/garbage", "/" + "x" * 9000]
FAILED = ["/missing", "/nowhere", "/broken", "/breaks_off", "/breaks_off?expected=yes"]


@pytest.mark.parametrize("path", [*VISITS, *FAILED])
async def test_a_connection_leaves_nothing_for_the_collector(garbage: Callable[[], list[str]], path: str) -> None:
    desk = Desk(deadline="100ms")
    desk.go_on.set()
    if path in {"/wait", "/left"}:
        desk.go_on.clear()
    logging.disable(logging.CRITICAL)  # a traceback that is kept for the test keeps all
    async with Served(desk.app) as served:
        await visit(desk, served, path)
        garbage()
        for _ in range(3):
            await visit(desk, served, path)
        left = garbage()
    logging.disable(logging.NOTSET)
    assert left == []


async def test_beyond_what_may_be_in_flight_a_request_is_refused_and_health_answers() -> None:
    desk = Desk()
    async with Served(desk.app) as served:
        served.door.in_flight = 1
        first = await served.ask(get("/wait"))
        await desk.began.wait()
        refused = await (await served.ask(get("/echo"))).reply()
        alive = await (await served.ask(get("/livez"))).reply()
        desk.go_on.set()
        answered = await first.reply()
        after = await (await served.ask(get("/echo"))).reply()
    assert (refused.status, refused.values(b"retry-after")) == (503, [b"1"])
    assert json.loads(refused.body)["type"] == "/problems/temporary-reduced-capacity"
    assert (alive.status, answered.status, after.status) == (200, 200, 200)


FRAMED = {
    "a length and chunks": ([(b"content-length", b"2"), (b"transfer-encoding", b"chunked")], b"2"),
    "chunks and a length": ([(b"transfer-encoding", b"chunked"), (b"content-length", b"2")], b"2"),
}


@pytest.mark.parametrize(("headers", "length"), FRAMED.values(), ids=FRAMED)
async def test_where_a_reply_ends_is_for_the_server_to_say(headers: list[tuple[bytes, bytes]], length: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    async with Served(app) as served:
        reply = await (await served.ask(get("/"))).reply()
    assert (reply.body, reply.values(b"content-length"), reply.values(b"transfer-encoding")) == (b"ok", [length], [])


async def test_a_304_may_say_how_long_it_would_have_been() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 304, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b""})

    async with Served(app) as served:
        status, headers = await (await served.ask(get("/"))).head()
    assert (status, dict(headers)[b"content-length"]) == (304, b"5")
