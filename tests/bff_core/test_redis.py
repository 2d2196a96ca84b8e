"""Commands to Redis end within a second, whatever has become of it, and are done again only where that is harmless."""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from bff_core.redis import Redis, RedisRefused, RedisUnavailable, Script
from bff_core.redis_connection import RedisConnection
from bff_core.redis_url import RedisUrl
from tests.bff_core.authority import authority, files_of
from tests.bff_core.raw_server import RawServer
from tests.bff_core.redis_server import MISSING, RedisServer
from tests.bff_core.scripted_redis import Answer, ScriptedRedis
from tests.processes import free_ports

pytestmark = [pytest.mark.real_time, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

AT_ONCE = 0.1  # seconds, within which nothing was waited for
SECRET = "dont-tell"


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Redis]:
    redis = Redis(url, **options)
    try:
        yield redis
    finally:
        await redis.close()


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """One that a test may stop."""
    with RedisServer() as started:
        yield started


async def seconds_until_refused(work: Awaitable[Any]) -> float:
    began = monotonic()
    with pytest.raises(RedisUnavailable):
        await work
    return monotonic() - began


async def until_it_answers(redis: Redis) -> float:
    """Seconds, in which nobody but its errand asks."""
    began = monotonic()
    while redis.facts()["state"] != "up":
        assert monotonic() - began < 5
        await asyncio.sleep(0.01)
    return monotonic() - began


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "bff.redis"]


def clients_of(server: RedisServer) -> int:
    """Without the one that asks."""
    found = re.search(r"connected_clients:(\d+)", server.say("INFO", "clients"))
    assert found
    return int(found[1]) - 1


# As it should be


@pytest.mark.parametrize("place", ["port", "socket"])
async def test_a_command_is_answered_over_a_connection_that_is_kept(server: RedisServer, place: str) -> None:
    async with opened(f"{server.url[:-1]}3" if place == "port" else f"unix://{server.socket}?db=3") as redis:
        assert await redis.command("SET", "key", b"\x00\xff") == b"OK"
        assert await redis.command("GET", "key") == b"\x00\xff"
        assert await redis.command("GET", "none") is None
        assert await redis.command("INCRBY", "number", 41) == 41
        assert server.say("-n", "3", "EXISTS", "key") == "1"
        assert clients_of(server) == 1


async def test_a_script_is_sent_once_and_then_called(server: RedisServer) -> None:
    script = Script("return {KEYS[1], ARGV[1]}")
    async with opened(server.url) as redis:
        for _ in range(3):
            assert await redis.script(script, ["a key"], ["word"]) == [b"a key", b"word"]
        server.say("SCRIPT", "FLUSH")
        assert await redis.script(script, ["a key"], [7]) == [b"a key", b"7"]
    stats = server.say("INFO", "commandstats")
    assert "cmdstat_eval:calls=2," in stats
    assert "cmdstat_evalsha:calls=4," in stats


async def test_a_password_opens_it(server: RedisServer) -> None:
    server.say("ACL", "SETUSER", "web", "on", f">{SECRET}/@", "~*", "+@all")
    server.say("CONFIG", "SET", "requirepass", SECRET)
    for login in (f":{SECRET}", f"web:{SECRET}%2F%40"):
        async with opened(f"redis://{login}@127.0.0.1:{server.port}") as redis:
            assert await redis.command("PING") == b"PONG"


async def test_nothing_is_connected_before_it_is_needed(server: RedisServer) -> None:
    async with opened(server.url) as redis:
        assert redis.facts()["state"] == "not asked yet"
        assert clients_of(server) == 0
        await redis.start()
        await until_it_answers(redis)


async def test_operators_are_told_how_it_is(server: RedisServer) -> None:
    async with opened(server.url, connections=7) as redis:
        await redis.command("SET", "key", "value")
        with pytest.raises(RedisRefused):
            await redis.command("INCR", "key")
        facts = redis.facts()
    assert facts.pop("since").endswith("+00:00")
    assert facts == {
        "at": f"127.0.0.1:{server.port}",
        "state": "up",
        "commands": 2,
        "failures": 0,
        "refusals": 1,
        "last_failure": "ERR",
        "in_use": 0,
        "limit": 7,
    }


# TLS


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[RedisServer, Path]]:
    files = files_of(tmp_path, "localhost")
    (port,) = free_ports(1)
    options = ["--tls-port", str(port), "--tls-cert-file", files["cert"], "--tls-key-file", files["key"]]
    with RedisServer(*options, "--tls-ca-cert-file", files["ca"], "--tls-auth-clients", "no") as started:
        started.port = port
        yield started, tmp_path


async def test_over_tls_it_proves_who_it_is(tls_server: tuple[RedisServer, Path]) -> None:
    server, folder = tls_server
    async with opened(f"rediss://localhost:{server.port}?ca={folder}/ca.pem") as redis:
        assert await redis.command("PING") == b"PONG"
        assert await redis.command("ECHO", "x" * 100_000) == b"x" * 100_000


@pytest.mark.parametrize("who", ["of another name", "of a strange authority", "unknown to this machine"])
async def test_one_that_does_not_is_told_nothing(tls_server: tuple[RedisServer, Path], who: str) -> None:
    server, folder = tls_server
    host, ca = "localhost", f"?ca={folder}/ca.pem"
    if who == "of another name":
        host = "127.0.0.1"
    elif who == "of a strange authority":
        authority("strange").cert_pem.write_to_path(str(folder / "ca.pem"))
    else:
        ca = ""
    async with opened(f"rediss://:{SECRET}@{host}:{server.port}{ca}") as redis:
        with pytest.raises(RedisUnavailable, match="certificate verify failed"):
            await redis.command("PING")


# Gone, hanging, and back


async def test_one_that_is_gone_is_refused_at_once_and_back_within_a_second(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with opened(server.url) as redis:
        await redis.command("SET", "key", "value")
        server.stop()
        for _ in range(100):
            assert await seconds_until_refused(redis.command("GET", "key")) < AT_ONCE
        assert redis.facts()["state"] == "down"
        server.start()
        assert await until_it_answers(redis) < 1
        assert await redis.command("GET", "key") is None
    gone, back = lines(caplog)
    assert gone.startswith(f"Redis at 127.0.0.1:{server.port} does not answer: ")
    assert back == f"Redis at 127.0.0.1:{server.port} answers again"


async def test_one_that_hangs_costs_a_second_once_and_then_nobody_waits(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with opened(server.url, connections=5) as redis:
        await asyncio.gather(*(redis.command("PING") for _ in range(5)))
        server.pause()
        crowd = (seconds_until_refused(redis.command("GET", "key", repeatable=n % 2 == 0)) for n in range(100))
        assert max(await asyncio.gather(*crowd)) < 1.0
        assert max(await asyncio.gather(*(seconds_until_refused(redis.command("PING")) for _ in range(100)))) < AT_ONCE
        server.resume()
        assert await until_it_answers(redis) < 1
        assert await redis.command("PING") == b"PONG"
    assert len(lines(caplog)) == 2


@pytest.mark.parametrize("silent", ["before the greeting", "after it"])
async def test_one_that_swallows_everything_costs_less_than_a_second(silent: str) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if silent == "after it":
            await reader.read(1000)
            writer.write(b"%1\r\n$5\r\nproto\r\n:3\r\n")
        while await reader.read(1000):
            pass

    async with RawServer(swallow) as server, opened(f"redis://127.0.0.1:{server.instance.port}") as redis:
        assert await seconds_until_refused(redis.command("PING", repeatable=True)) < 1.0
        assert await seconds_until_refused(redis.command("PING", repeatable=True)) < AT_ONCE


async def test_an_address_that_eats_packets_costs_less_than_a_second() -> None:
    with socket.socket() as full:  # its queue of one is taken, so the kernel answers no more
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        async with opened("redis://{}:{}".format(*full.getsockname())) as redis:
            assert await seconds_until_refused(redis.command("PING")) < 1.0
            assert await seconds_until_refused(redis.command("PING")) < AT_ONCE
        for one in waiting:
            one.close()


async def test_a_restart_costs_nobody_a_request(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    script = Script("return 1")
    async with opened(server.url) as redis:
        await asyncio.gather(*(redis.script(script, []) for _ in range(10)))
        server.stop()
        server.start()
        found = await asyncio.gather(*(redis.script(script, [], repeatable=n % 2 == 0) for n in range(20)))
        assert found == [1] * 20
    assert lines(caplog) == []


@pytest.mark.parametrize("login", [f":{SECRET}-wrong", f"web:{SECRET}-wrong", ""])
async def test_a_wrong_password_is_said_without_it(
    server: RedisServer, caplog: pytest.LogCaptureFixture, login: str
) -> None:
    server.say("CONFIG", "SET", "requirepass", SECRET)
    async with opened(f"redis://{login}@127.0.0.1:{server.port}") as redis:
        with pytest.raises(RedisUnavailable) as caught:
            await redis.command("SET", "key", f"{SECRET}-session")
        assert await seconds_until_refused(redis.command("PING")) < AT_ONCE
        assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r} {redis.facts()} {vars(redis)}"
    assert caught.value.__suppress_context__
    assert lines(caplog)
    assert SECRET not in caplog.text


# A scripted one


def answers(*said: bytes | None, then: bytes | None = b"+OK\r\n") -> Answer:
    """These to the first commands, and ``then``."""
    left = list(said)

    async def answer(_: int, __: list[bytes]) -> bytes | None:
        return left.pop(0) if left else then

    return answer


async def test_one_that_is_loading_is_asked_again_until_it_has(caplog: pytest.LogCaptureFixture) -> None:
    loading = b"-LOADING Redis is loading the dataset in memory\r\n"
    async with ScriptedRedis(answers(*[loading] * 3)) as server, opened(server.url) as redis:
        await seconds_until_refused(redis.command("GET", "key"))
        assert redis.facts()["state"] == "down"
        assert await until_it_answers(redis) < 2
        assert await redis.command("GET", "key") == b"OK"
        assert server.commands == [b"GET", b"PING", b"PING", b"PING", b"GET"]
    assert "loading" in caplog.text


@pytest.mark.parametrize("repeatable", [True, False])
async def test_one_that_became_a_replica_is_left_for_who_is_there_now(repeatable: bool) -> None:
    async def answer(connection: int, words: list[bytes]) -> bytes:
        return b"+OK\r\n" if words[0] == b"GET" or connection > 1 else b"-READONLY You can't write against it\r\n"

    async with ScriptedRedis(answer) as server, opened(server.url) as redis:
        await redis.command("GET", "key")
        assert await redis.command("SET", "key", "value", repeatable=repeatable) == b"OK"
        assert server.commands == [b"GET", b"SET", b"SET"]
        assert server.accepted == 2


async def test_where_there_are_only_replicas_commands_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedRedis(answers(then=b"-READONLY no\r\n")) as server, opened(server.url) as redis:
        for _ in range(10):
            with pytest.raises(RedisRefused, match="READONLY"):
                await redis.command("SET", "key", "value")
        assert redis.facts()["state"] == "up"
        assert redis.facts()["refusals"] == 10
    assert lines(caplog) == [f"Redis at 127.0.0.1:{server.instance.port} refuses commands: READONLY"]


async def test_what_it_says_of_a_command_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    said = f"-ERR unknown command 'X', with args beginning with: '{SECRET}'\r\n".encode()
    async with ScriptedRedis(answers(then=said)) as server, opened(server.url) as redis:
        with pytest.raises(RedisRefused) as caught:
            await redis.command("X", SECRET)
        assert SECRET not in f"{caught.value!r} {redis.facts()}"
        assert caught.value.__suppress_context__
    assert "ERR" in caplog.text
    assert SECRET not in caplog.text


async def test_an_old_redis_that_refuses_the_greeting_is_told_no_secret_twice() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.read(1000)
        writer.write(b"-ERR unknown command `HELLO`, with args beginning with: %b\r\n" % said.split(b"\r\n")[-2])

    async with RawServer(refuse) as server, opened(f"redis://:{SECRET}@127.0.0.1:{server.instance.port}") as redis:
        with pytest.raises(RedisUnavailable, match=r"it lets nobody in: ERR$"):
            await redis.command("PING")


@pytest.mark.parametrize(
    "nonsense", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$999\r\nshort\r\n", b"$x\r\n", b"\x00" * 99]
)
async def test_nonsense_is_no_answer(nonsense: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(nonsense)
        writer.write_eof()
        await reader.read()

    async with RawServer(talk) as server, opened(f"redis://:pw@127.0.0.1:{server.instance.port}") as redis:
        assert await seconds_until_refused(redis.command("PING")) < 1.0


async def test_a_command_that_may_have_been_done_is_done_again_only_where_that_is_harmless() -> None:
    async with ScriptedRedis(answers(b"+OK\r\n", None)) as server, opened(server.url) as redis:
        await redis.command("PING")
        assert await redis.command("GET", "key", repeatable=True) == b"OK"
        assert server.commands == [b"PING", b"GET", b"GET"]
    async with ScriptedRedis(answers(b"+OK\r\n", None)) as server, opened(server.url) as redis:
        await redis.command("PING")
        await seconds_until_refused(redis.command("INCR", "key"))
        await until_it_answers(redis)
        assert server.commands.count(b"INCR") == 1


async def test_what_must_not_be_done_twice_goes_over_a_connection_that_was_seen_to_work() -> None:
    first_hangs = asyncio.Event()

    async def answer(connection: int, words: list[bytes]) -> bytes:
        if connection == 1 and first_hangs.is_set():
            await asyncio.Event().wait()
        return b"+OK\r\n"

    async with ScriptedRedis(answer) as server, opened(server.url) as redis:
        await redis.command("GET", "key")
        first_hangs.set()
        await asyncio.sleep(1.05)  # after which it is not believed any more
        assert await redis.command("INCR", "key") == b"OK"
        assert server.commands == [b"GET", b"PING", b"INCR"]


async def test_a_failover_that_nobody_announced_costs_a_read_nothing_but_time() -> None:
    old_hang = asyncio.Event()

    async def answer(connection: int, words: list[bytes]) -> bytes:
        if connection <= 3 and old_hang.is_set():
            await asyncio.Event().wait()
        return b"+OK\r\n"

    async with ScriptedRedis(answer) as server, opened(server.url) as redis:
        await asyncio.gather(*(redis.command("GET", "key") for _ in range(3)))
        assert server.accepted == 3
        old_hang.set()
        assert await redis.command("GET", "key", repeatable=True) == b"OK"
        assert redis.facts()["state"] == "up"
        began = monotonic()
        await asyncio.gather(*(redis.command("GET", "key", repeatable=True) for _ in range(3)))
        assert monotonic() - began < AT_ONCE  # the other old ones are not tried any more


async def test_a_connection_that_breaks_while_others_are_answered_says_nothing_of_redis(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = asyncio.Event()

    async def answer(_: int, words: list[bytes]) -> bytes | None:
        if words[0] == b"INCR":
            await gate.wait()
            return None
        return b"+OK\r\n"

    async with ScriptedRedis(answer) as server, opened(server.url) as redis:
        work = asyncio.create_task(seconds_until_refused(redis.command("INCR", "key")))
        while not server.commands:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.005)  # which is more than the clock of the loop is coarse
        assert await redis.command("GET", "key") == b"OK"
        gate.set()
        await work
        assert redis.facts()["state"] == "up"
        assert redis.facts()["failures"] == 1
    assert lines(caplog) == []


async def test_an_errand_that_hangs_while_others_are_answered_refuses_nobody() -> None:
    broken, gate = asyncio.Event(), asyncio.Event()

    async def answer(connection: int, words: list[bytes]) -> bytes | None:
        if words[0] == b"INCR":
            await broken.wait()
            return None
        if connection == 3:  # that of the errand
            await asyncio.Event().wait()
        await gate.wait()
        return b"+OK\r\n"

    async with ScriptedRedis(answer) as server, opened(server.url) as redis:
        breaks = asyncio.create_task(seconds_until_refused(redis.command("INCR", "key")))
        while len(server.commands) < 1:
            await asyncio.sleep(0.001)
        lasts = asyncio.create_task(redis.command("GET", "key"))
        while len(server.commands) < 2:
            await asyncio.sleep(0.001)
        broken.set()
        await breaks
        while len(server.commands) < 3:
            await asyncio.sleep(0.001)
        assert redis.facts()["state"] == "down"
        gate.set()
        assert await lasts == b"OK"
        await asyncio.sleep(0.5)  # in which the errand is not answered
        assert redis.facts()["state"] == "up"
        assert await redis.command("GET", "key") == b"OK"
        assert server.commands == [b"INCR", b"GET", b"PING", b"GET"]


async def test_what_nobody_asked_for_is_never_an_answer() -> None:
    said = answers(b"+first\r\n+of another\r\n", b"+second\r\n")
    async with ScriptedRedis(said) as server, opened(server.url) as redis:
        assert await redis.command("GET", "key") == b"first"
        await asyncio.sleep(0.02)  # until the rest has come
        assert await redis.command("GET", "key") == b"second"
        assert server.accepted == 2


async def test_a_command_waits_for_its_turn_and_no_longer_than_the_others() -> None:
    gate = asyncio.Event()

    async def answer(_: int, words: list[bytes]) -> bytes:
        await gate.wait()
        return b"+OK\r\n"

    async with ScriptedRedis(answer) as server, opened(server.url, connections=2) as redis:
        work = [asyncio.create_task(redis.command("GET", "key")) for _ in range(10)]
        while len(server.commands) < 2:
            await asyncio.sleep(0.001)
        assert redis.facts()["in_use"] == 2
        gate.set()
        assert await asyncio.gather(*work) == [b"OK"] * 10
        assert server.accepted == 2


async def test_who_gets_no_turn_in_time_is_refused() -> None:
    async def slow(_: int, words: list[bytes]) -> bytes:
        await asyncio.sleep(0.3)
        return b"+OK\r\n"

    async with ScriptedRedis(slow) as server, opened(server.url, connections=1) as redis:
        work = (redis.command("GET", "key") for _ in range(6))
        began = monotonic()
        found = await asyncio.gather(*work, return_exceptions=True)
        assert monotonic() - began < 1.0
        assert found[:2] == [b"OK"] * 2
        assert isinstance(found[-1], RedisUnavailable)
        assert redis.facts()["state"] == "up"  # it answers, only not so many


# Cancelled


async def test_who_leaves_closes_the_connection_and_gives_the_turn_back() -> None:
    gate = asyncio.Event()

    async def answer(_: int, words: list[bytes]) -> bytes:
        await gate.wait()
        return b"+" + words[1] + b"\r\n"

    async with ScriptedRedis(answer) as server, opened(server.url, connections=1) as redis:
        leaving = asyncio.create_task(redis.command("GET", "ada"))
        while not server.commands:
            await asyncio.sleep(0.001)
        staying = asyncio.create_task(redis.command("GET", "bob"))
        leaving.cancel()
        await asyncio.wait([leaving])
        assert leaving.cancelled()
        gate.set()
        assert await staying == b"bob"
        assert server.accepted == 2
        assert redis.facts()["in_use"] == redis.facts()["failures"] == 0


async def test_closing_a_connection_waits_for_nothing(server: RedisServer) -> None:
    connection = RedisConnection(RedisUrl.parse(server.url), None)
    await connection.open()
    closing = connection.close()
    with pytest.raises(StopIteration):  # so nothing can come between, not even another cancellation
        closing.send(None)
    assert not connection.is_open


async def test_what_it_leaves_when_it_is_closed_is_nothing(server: RedisServer) -> None:
    before = asyncio.all_tasks()
    async with opened(server.url) as redis:
        await redis.start()
        await asyncio.gather(*(redis.command("PING") for _ in range(10)))
        server.pause()
        await seconds_until_refused(redis.command("PING"))
    server.resume()
    assert asyncio.all_tasks() == before
    assert clients_of(server) == 0


async def test_what_is_under_way_when_it_is_closed_is_closed_after_it() -> None:
    gate = asyncio.Event()

    async def answer(_: int, words: list[bytes]) -> bytes:
        await gate.wait()
        return b"+OK\r\n"

    async with ScriptedRedis(answer) as server:
        redis = Redis(server.url)
        work = asyncio.create_task(redis.command("GET", "key"))
        while not server.commands:
            await asyncio.sleep(0.001)
        await redis.close()
        gate.set()
        assert await work == b"OK"
        async with asyncio.timeout(5):
            while server.open:
                await asyncio.sleep(0.001)


async def test_a_bug_in_a_command_is_a_bug(server: RedisServer) -> None:
    async with opened(server.url) as redis:
        with pytest.raises(Exception, match="Invalid input of type: 'NoneType'"):
            await redis.command("GET", None)  # type: ignore[arg-type]  # which is the bug
        assert await redis.command("PING") == b"PONG"
