"""The hot path: HTTP/1.1 over asyncio and httptools, with connections kept alive for each instance."""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from bff_core.errors import Busy, StaleConnection, TimedOut, Unreachable
from bff_core.moments import Moments
from bff_core.wire.contract import Instance, Reply, ReplyStream, Request
from bff_core.wire.encoding import encode
from bff_core.wire.http1_connection import Connection
from bff_core.wire.promise import Promise

__all__ = ["Http1Wire"]

T = TypeVar("T")

_IDLE: Final = 15.0  # seconds: below the keep-alive of every common server but the shortest
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


class Http1Wire:
    """Keeps at most ``connections`` to each instance, and never queues for one: a queue hides an overload."""

    def __init__(self, *, connections: int = 1000, tls: ssl.SSLContext | None = None) -> None:
        self._connections = connections
        self._tls = tls or ssl.create_default_context()
        self._pools: dict[Instance, _Pool] = {}
        self._errands: set[asyncio.Task[Any]] = set()

    async def send(self, instance: Instance, request: Request, *, until: float, max_body: int) -> Reply:
        """See ``Wire.send``."""
        encoded = encode(instance, request)
        head_only = request.method == "HEAD"
        pool = self._pools.get(instance) or self._open(instance)
        connection = pool.take() if request.method in _SAFE else pool.take_proven()
        if connection is not None:
            try:
                return await self._until(until, connection, connection.ask(encoded, head_only, max_body))
            except StaleConnection:
                # closed by the peer while it was idle, before it saw anything: no failure of the call, and once
                if request.method not in _SAFE:
                    raise
        connection = await self._fresh(pool, until)
        return await self._until(until, connection, connection.ask(encoded, head_only, max_body))

    async def stream(
        self, instance: Instance, request: Request, *, until: float, body_until: float | None = None, max_body: int
    ) -> ReplyStream:
        """See ``Wire.stream``. On a connection proven open or fresh, so that nothing needs to be sent twice."""
        encoded = encode(instance, request)
        pool = self._pools.get(instance) or self._open(instance)
        connection = pool.take_proven() or await self._fresh(pool, until)
        promise = connection.ask_for_stream(encoded, request.method == "HEAD", max_body)
        try:
            stream = await self._until(until, connection, promise)
        except BaseException:
            connection.abort()  # the head may have come, and whoever asked may have been cancelled all the same
            raise
        self._moments.at(until if body_until is None else body_until, partial(connection.body_late, connection.serial))
        return stream

    async def close(self) -> None:
        """See ``Wire.close``: idle connections end now, those under way with their reply."""
        for pool in self._pools.values():
            pool.close()
        while self._errands:
            await asyncio.wait(self._errands)
        for pool in self._pools.values():
            await pool.empty.wait()

    def _until(self, until: float, connection: Connection, promise: Promise[T]) -> Promise[T]:
        self._moments.at(until, partial(connection.late, connection.serial))
        return promise

    def _open(self, instance: Instance) -> "_Pool":
        if not self._pools:
            self._loop = asyncio.get_running_loop()
            self._moments = Moments(self._loop)
        pool = self._pools[instance] = _Pool(instance, self._connections, self._loop.time)
        return pool

    async def _fresh(self, pool: "_Pool", until: float) -> Connection:
        promise = self._connected(pool, until)
        try:
            return await promise
        except BaseException:
            if promise.kept:  # and whoever asked was cancelled all the same; the next one may have it
                pool.released(promise.result())
            raise

    def _connected(self, pool: "_Pool", until: float) -> Promise[Connection]:
        """An errand: connecting is the one thing here that needs a task."""
        connection = Connection(pool.instance, pool, self._loop)
        pool.enter(connection)
        task = self._loop.create_task(self._connect(pool, connection))
        promise = Promise[Connection](self._loop, task.cancel)
        self._errands.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._errands.discard(task)
            if task.cancelled():
                connection.abort()
            elif (error := task.exception()) is not None:
                connection.abort()
                promise.break_(error)
            elif promise.done:
                pool.released(connection)  # nobody waits any more; the next one may have it
            else:
                promise.keep(connection)

        def late() -> None:
            if not promise.done:
                task.cancel()
                promise.break_(TimedOut(pool.instance.upstream, "no connection in time"))

        task.add_done_callback(ended)
        self._moments.at(until, late)
        return promise

    async def _connect(self, pool: "_Pool", connection: Connection) -> None:
        instance = pool.instance
        tls = self._tls if instance.scheme == "https" else None
        try:
            await self._loop.create_connection(lambda: connection, instance.host, instance.port, ssl=tls)
        except (OSError, UnicodeError) as error:  # ssl.SSLError is one of the first, a name that is none the second
            raise Unreachable(instance.upstream, f"no connection: {error}") from error


class _Pool:
    """The connections to one instance: those that are idle, newest last, and how many there are."""

    def __init__(self, instance: Instance, limit: int, now: Callable[[], float]) -> None:
        self.instance = instance
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._limit = limit
        self._now = now
        self.empty = asyncio.Event()
        self.empty.set()
        self._closing = False

    def take(self) -> Connection | None:
        """The connection used last, so that the others may grow old and go."""
        fresh_since = self._now() - _IDLE
        while self._idle:
            connection = self._idle.pop()
            if connection.closed:
                continue
            if connection.idle_since >= fresh_since:
                return connection
            connection.abort()
        return None

    def take_proven(self) -> Connection | None:
        """A connection of which the peer has not said that it is closed, as far as this machine has heard."""
        while (connection := self.take()) is not None:
            if connection.is_open():
                return connection
            connection.abort()
        return None

    def enter(self, connection: Connection) -> None:
        """Make room for one more; ``Busy`` where there is none."""
        if len(self._all) >= self._limit:
            raise Busy(self.instance.upstream, "every connection is taken")
        self._all.add(connection)
        self.empty.clear()

    def released(self, connection: Connection) -> None:
        """See ``http1_connection.Pool``."""
        if self._closing:
            connection.abort()
        else:
            connection.idle_since = self._now()
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """See ``http1_connection.Pool``."""
        self._all.discard(connection)
        if not self._all:
            self.empty.set()
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """End what is idle; what is under way ends with its reply."""
        self._closing = True
        while self._idle:
            self._idle.pop().abort()
