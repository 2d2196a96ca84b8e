"""The hot path: HTTP/1.1 over asyncio and httptools, with connections kept alive for each instance."""

import asyncio
import ssl
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final, TypeVar

from bff_core.errors import Busy, StaleConnection, TimedOut, Unreachable
from bff_core.wire.contract import Instance, Reply, Request
from bff_core.wire.encoding import encode
from bff_core.wire.http1_connection import Connection
from bff_core.wire.moments import Moments
from bff_core.wire.promise import Promise

__all__ = ["Http1Wire"]

T = TypeVar("T")

_IDLE: Final = 15.0  # seconds: below the keep-alive of every common server but the shortest
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


class Http1Wire:
    """Keeps at most ``connections`` to each instance, and never queues for one: a queue hides an overload."""

    def __init__(self, *, connections: int = 1000, tls: ssl.SSLContext | None = None) -> None:
        self._connections = connections
        self._tls = tls
        self._pools: dict[Instance, _Pool] = {}
        self._moments: Moments | None = None
        self._errands: set[asyncio.Task[Any]] = set()

    async def send(self, instance: Instance, request: Request, *, until: float, max_body: int) -> Reply:
        """See ``Wire.send``."""
        pool = self._pools.get(instance) or self._pool(instance)
        safe = request.method in _SAFE
        connection = pool.take() if safe else pool.take_proven()
        if connection is not None:
            try:
                return await self._exchange(connection, instance, request, until, max_body)
            except StaleConnection:
                # closed by the peer while idle, before it saw anything: no failure, and once
                if not safe:
                    raise
        connection = await self._errand(self._connect(pool, until), instance, until)
        return await self._exchange(connection, instance, request, until, max_body)

    def _exchange(
        self, connection: Connection, instance: Instance, request: Request, until: float, max_body: int
    ) -> Promise[Reply]:
        promise = connection.ask(encode(instance, request), head_only=request.method == "HEAD", max_body=max_body)
        assert self._moments is not None  # noqa: S101
        self._moments.at(until, partial(connection.late, connection.serial))
        return promise

    async def close(self) -> None:
        """See ``Wire.close``: idle connections end now, and those under way with their reply."""
        for pool in self._pools.values():
            pool.close()
        while self._errands:
            await asyncio.wait(self._errands)

    def _pool(self, instance: Instance) -> "_Pool":
        if self._moments is None:
            self._moments = Moments(asyncio.get_running_loop())
        pool = self._pools[instance] = _Pool(instance, self._connections)
        return pool

    async def _connect(self, pool: "_Pool") -> Connection:
        loop = asyncio.get_running_loop()
        connection = Connection(pool.instance, pool, loop)
        tls = self._tls if pool.instance.scheme == "https" else None
        try:
            await loop.create_connection(lambda: connection, pool.instance.host, pool.instance.port, ssl=tls)
        except OSError as error:  # ssl.SSLError is one
            pool.lost(connection)
            raise Unreachable(pool.instance.upstream, f"no connection: {error}") from error
        except BaseException:
            pool.lost(connection)
            raise
        return connection


class _Pool:
    """The connections to one instance: those that are idle, and how many there are."""

    def __init__(self, instance: Instance, limit: int) -> None:
        self.instance = instance
        self._idle: list[Connection] = []
        self._limit = limit
        self.count = 0
        self._closing = False
