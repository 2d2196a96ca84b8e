"""The hot path: HTTP/1.1 over asyncio and httptools, with connections kept alive for each instance."""

import asyncio
from collections.abc import AsyncIterable, Awaitable
from functools import partial
from typing import Final, TypeVar

from bff_core.moments import Moments
from bff_core.wire.connecting import connected
from bff_core.wire.contract import Connections, Instance, Reply, ReplyStream, Request
from bff_core.wire.encoding import declared_length, encode, encode_head
from bff_core.wire.http1_connection import Connection
from bff_core.wire.http1_pool import InstancePool
from bff_core.wire.promise import Promise
from bff_core.wire.terms import ORDINARY, Terms, TermsByUpstream

__all__ = ["CONNECTIONS", "Http1Wire"]

T = TypeVar("T")

CONNECTIONS: Final = 1000
"""To one instance, at most."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


class Http1Wire:
    """Keeps at most ``connections`` to each instance, and never queues for one: a queue hides an overload."""

    def __init__(self, *, connections: int = CONNECTIONS, terms: TermsByUpstream = ORDINARY) -> None:
        self._connections = connections
        self._terms = terms
        self._pools: dict[Instance, InstancePool] = {}
        self._retired: list[InstancePool] = []

    def send(self, instance: Instance, request: Request, *, until: float, max_body: int) -> Awaitable[Reply]:
        """See ``Wire.send``. Where a connection is at hand, this is its promise, and no coroutine."""
        pool = self._pools.get(instance) or self._open(instance)
        body, method = request.body, request.method
        if not isinstance(body, bytes):
            return self._send_piecewise(pool, request, body, until, max_body)
        encoded = encode(request, body, pool.fixed)
        head_only, safe = method == "HEAD", method in _SAFE
        connection = pool.take() if safe else pool.take_proven()
        if connection is None:
            return self._send_first(pool, request, encoded, max_body, until)
        connection.watch(self._moments, until)
        return connection.ask(encoded, head_only, max_body, repeatable=safe)

    async def stream(
        self, instance: Instance, request: Request, *, until: float, body_until: float | None = None, max_body: int
    ) -> ReplyStream:
        """See ``Wire.stream``. On a connection proven open or fresh, so that nothing needs to be sent twice."""
        pool = self._pools.get(instance) or self._open(instance)
        body, length = request.body, None
        if isinstance(body, bytes):
            encoded = encode(request, body, pool.fixed)
        else:
            length = declared_length(request)
            encoded = encode_head(request, length, pool.fixed)
        connection = pool.take_proven() or await self._fresh(pool, until, request)
        promise = connection.ask_for_stream(encoded, request.method == "HEAD", max_body)
        serial = connection.serial  # now, because the connection may be another's by the time we hear of the reply
        if not isinstance(body, bytes):
            connection.upload(body, length)
        try:
            stream = await self._until(until, connection, promise)
        except BaseException:
            if promise.kept:  # and whoever asked was cancelled all the same
                await promise.result().close()
            raise
        self._moments.at(until if body_until is None else body_until, partial(connection.body_late, serial))
        return stream

    async def _send_first(
        self, pool: InstancePool, request: Request, encoded: bytes, max_body: int, until: float
    ) -> Reply:
        connection = await self._fresh(pool, until, request)
        return await self._until(until, connection, connection.ask(encoded, request.method == "HEAD", max_body))

    async def _send_again(
        self, pool: InstancePool, encoded: bytes, head_only: bool, max_body: int, until: float
    ) -> Reply:
        connection = await self._fresh(pool, until)
        return await self._until(until, connection, connection.ask(encoded, head_only, max_body))

    async def _send_piecewise(
        self, pool: InstancePool, request: Request, body: AsyncIterable[bytes], until: float, max_body: int
    ) -> Reply:
        # on a connection proven open or fresh, because what came piece by piece cannot be sent twice
        length = declared_length(request)
        head = encode_head(request, length, pool.fixed)
        connection = pool.take_proven() or await self._fresh(pool, until, request)
        promise = connection.ask(head, request.method == "HEAD", max_body)
        connection.upload(body, length)
        return await self._until(until, connection, promise)

    def connections(self, instance: Instance) -> Connections | None:
        """See ``Wire.connections``: those too that end with their reply, because it was retired."""
        used = [self._pools[instance]] if instance in self._pools else []
        each = [pool.connections for pool in (*used, *self._retired) if pool.instance == instance]
        return Connections(sum(one.open for one in each), sum(one.sent_again for one in each))

    def retire(self, instance: Instance) -> None:
        """See ``Wire.retire``. Where it comes back before that, it begins with new connections."""
        pool = self._pools.pop(instance, None)
        if pool is not None:
            pool.close()
            self._retired = [other for other in (*self._retired, pool) if not other.empty.is_set()]

    async def close(self) -> None:
        """See ``Wire.close``: idle connections end now, those under way with their reply."""
        for pool in self._pools.values():
            pool.close()
        for pool in (*self._pools.values(), *self._retired):
            await pool.empty.wait()

    def _until(self, until: float, connection: Connection, promise: Promise[T]) -> Promise[T]:
        connection.watch(self._moments, until)
        return promise

    def _open(self, instance: Instance) -> InstancePool:
        loop = asyncio.get_running_loop()
        if not self._pools:
            self._moments = Moments(loop)
        terms = self._terms.get(instance.upstream) or Terms()
        pool = InstancePool(instance, terms, self._connections, loop.time, self._send_again)
        self._pools[instance] = pool
        return pool

    async def _fresh(self, pool: InstancePool, until: float, request: Request | None = None) -> Connection:
        promise = connected(pool, self._moments, until)
        if request is not None:
            request.unsent = True
        try:
            connection = await promise
        except BaseException:
            if promise.kept:  # and whoever asked was cancelled all the same; the next one may have it
                pool.released(promise.result())
            raise
        if request is not None:
            request.unsent = False
        return connection
