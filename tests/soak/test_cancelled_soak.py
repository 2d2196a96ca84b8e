"""Commands that are cancelled, in short; and whether what is wrong would be found."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from bff_core.redis import Redis, Script
from tests.bff_core.redis_server import MISSING, RedisServer
from tests.soak.cancelled import Mixed, cancel_everywhere

pytestmark = [pytest.mark.real, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

NUMBER = 10_000  # `make soak` does more


async def test_whoever_leaves_at_any_await_nobody_is_told_what_is_not_theirs() -> None:
    with RedisServer() as server:
        done = await cancel_everywhere(server.url, seed=1, number=NUMBER)
        async with asyncio.timeout(5):
            while "connected_clients:1\n" not in server.say("INFO", "clients"):  # who asks this, and nobody else
                await asyncio.sleep(0.01)
    assert done.number >= NUMBER
    assert done.unavailable < done.answers / 100  # a busy machine may take longer for an answer than a try may wait
    assert done.answers > done.number
    assert {0, 1, 2, 3, -1} <= set(done.cancellations)  # while it connects, is greeted, asks, and is answered


class Naive(Redis):
    """Asks over connections of its own, which are used again whatever became of the last question."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._port = int(url.rpartition(":")[2].partition("/")[0])
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def command(self, *words: Any, repeatable: bool = False) -> Any:
        async with self._connection() as (reader, writer):
            parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            lines = [b"*%d\r\n" % len(parts), *(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)]
            writer.write(b"".join(lines))
            return await _answer(reader)

    async def script(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Any] = (), *, repeatable: bool = False
    ) -> Any:
        return await self.command("EVAL", script.text, len(keys), *keys, *arguments)

    async def close(self) -> None:
        for _, writer in self._free:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    @asynccontextmanager
    async def _connection(self) -> Any:
        found = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
        try:
            yield found
        finally:
            self._free.append(found)


async def _answer(reader: asyncio.StreamReader) -> Any:
    line = (await reader.readline()).strip()
    match line[:1], int(line[1:]) if line[1:].lstrip(b"-").isdigit() else 0:
        case (b"$", length) if length >= 0:
            return (await reader.readexactly(length + 2))[:-2]
        case (b"*", number) if number >= 0:
            return [await _answer(reader) for _ in range(number)]
        case (b":", number):
            return number
        case (b"+", _):
            return line[1:]
    return None


async def test_a_connection_that_is_used_again_after_somebody_left_is_found() -> None:
    with RedisServer() as server, pytest.raises(Mixed, match=r"u\d+ was told"):
        await cancel_everywhere(server.url, seed=1, number=NUMBER, make_redis=Naive)
