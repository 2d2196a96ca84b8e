"""Instances that come and go a thousand times a second while calls are made over real sockets; then nothing is left."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from random import Random
from time import monotonic

from bff_core.discovery import Member
from bff_core.errors import GatewayError
from bff_core.upstream_settings import RetrySettings
from bff_core.wire.http1 import Http1Wire
from tests.bff_core.played import Played
from tests.bff_core.raw_server import RawServer, said
from tests.bff_core.scripted import Book, Shop, shop
from tests.soak.holdings import Memory, alive, files
from tests.soak.wire.caller import Unexpected
from tests.soak.wire.soak import Left

__all__ = ["Changes", "change"]

_SERVERS, _CALLERS = 12, 20
_EVERY = 0.001  # seconds
_TIMEOUT = 2.0  # seconds, for which a connection that was made for a call is known to who watches over that
_BLOCKS = 5_000  # by which memory may grow behind the first round
_GONE = ("Standing", "Flight", "Promise", "Connection", "InstancePool", "Task")


@dataclass(frozen=True)
class Changes:
    """What was done."""

    changes: int
    calls: int
    accepted: int
    warm: Memory
    final: Memory


async def change(
    seed: int, seconds: float, *, tidying: float = 10.0, make_wire: Callable[[], Http1Wire] = Http1Wire
) -> Changes:
    """For so long, in two rounds. Raises ``Unexpected`` for a call that failed, ``Left`` for what should be gone, at
    the latest after ``tidying`` seconds.
    """
    before = alive(_GONE)
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(RawServer(_answering)) for _ in range(_SERVERS)]
        opened = files()
        result = await _Changing(seed, servers, make_wire(), tidying).run(seconds)
        if files() != opened:
            raise Left(f"{files() - opened} files")
    if found := alive(_GONE) - before:
        raise Left(f"objects: {dict(found)}")
    if (more := result.final.blocks - result.warm.blocks) > _BLOCKS:
        raise Left(f"memory: {more} blocks more than after the warm-up")
    return result


async def _answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said(b'{"id": "pojos"}', headers=b"content-type: application/json\r\n"))
        await writer.drain()


class _Changing:
    def __init__(self, seed: int, servers: list[RawServer], wire: Http1Wire, tidying: float) -> None:
        self._random, self._servers, self._wire, self._tidying = Random(seed), servers, wire, tidying
        self._source = Played()
        self._client, self._upstream = shop(
            wire,
            source=self._source,
            retry=RetrySettings(attempts=0),
            timeout=f"{_TIMEOUT}s",
            coalesce=False,
            check={"path": "/", "interval": "100ms", "timeout": f"{_TIMEOUT}s"},
        )
        self._calls = count()
        self._changes = 0

    async def run(self, seconds: float) -> Changes:
        await self._upstream.start()
        self._say(self._servers)
        await self._upstream.found()
        warm = await self._round(seconds / 2)
        final = await self._round(seconds / 2)
        await self._upstream.close()
        async with asyncio.timeout(self._tidying):
            await self._wire.close()
        await asyncio.sleep(_TIMEOUT + 0.1)  # for what the last checks connected
        accepted = sum(server.accepted for server in self._servers)
        return Changes(self._changes, next(self._calls), accepted, warm, final)

    async def _round(self, seconds: float) -> Memory:
        changing = asyncio.create_task(self._change(seconds))
        await asyncio.gather(changing, *(self._call(self._client, changing) for _ in range(_CALLERS)))
        await self._see_that_connections_of_what_is_gone_are_too()
        await asyncio.sleep(_TIMEOUT + 0.1)
        return Memory.now()

    async def _change(self, seconds: float) -> None:
        end = monotonic() + seconds
        while monotonic() < end:
            self._changes += 1
            self._say(self._random.sample(self._servers, self._random.randint(1, _SERVERS)))
            await asyncio.sleep(_EVERY)

    def _say(self, servers: list[RawServer]) -> None:
        self._source.say(*(Member(server.instance) for server in servers))

    async def _call(self, client: Shop, changing: asyncio.Task[None]) -> None:
        while not changing.done():
            try:
                found = await client.book(f"b{next(self._calls)}")
            except GatewayError as error:
                raise Unexpected(repr(error)) from error
            if found != Book(id="pojos"):
                raise Unexpected(f"{found} came")

    async def _see_that_connections_of_what_is_gone_are_too(self) -> None:
        one, *gone = self._servers
        self._say([one])
        end = monotonic() + self._tidying
        while open_ := sum(server.open for server in gone):
            if monotonic() > end:
                raise Left(f"{open_} connections to what is gone")
            await asyncio.sleep(0.001)
        if known := len(self._upstream.facts()["instances"]) - 1:
            raise Left(f"{known} instances that are gone")
