"""The connections to one instance: those that are idle, newest last, and how many there are."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from bff_core.errors import Busy
from bff_core.wire.contract import Connections, Instance, Reply
from bff_core.wire.encoding import fixed_lines
from bff_core.wire.http1_connection import Connection
from bff_core.wire.known_heads import KnownHeads
from bff_core.wire.promise import Promise, errand
from bff_core.wire.terms import Terms

__all__ = ["InstancePool"]

_IDLE: Final = 15.0  # seconds: below the keep-alive of every common server but the shortest


class InstancePool:
    """Hands out what is idle, and makes room for at most ``limit``. ``fixed`` is what every request of it says."""

    def __init__(
        self, instance: Instance, terms: Terms, limit: int, now: Callable[[], float], send_again: "SendAgain"
    ) -> None:
        self.instance = instance
        self.terms = terms
        self.fixed = fixed_lines(instance, terms)
        self.heads = KnownHeads()
        self._send_again = send_again
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._limit = limit
        self._now = now
        self.empty = asyncio.Event()
        self.empty.set()
        self._closing = False
        self._sent_again = 0

    @property
    def connections(self) -> Connections:
        """See ``Wire.connections``."""
        return Connections(len(self._all), self._sent_again)

    def take(self) -> Connection | None:
        """The connection used last, so that the others may grow old and go."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.closed:
                continue
            if connection.idle_since + _IDLE >= self._now():
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
            connection.reused = True  # or never used, which is the same to a peer that closes what is idle
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """See ``http1_connection.Pool``."""
        self._all.discard(connection)
        if not self._all:
            self.empty.set()
        if connection in self._idle:
            self._idle.remove(connection)

    def repeat(self, promise: Promise[Any], encoded: bytes, head_only: bool, max_body: int, until: float) -> None:
        """See ``http1_connection.Pool``."""
        self._sent_again += 1
        promise.follow(errand(self._send_again(self, encoded, head_only, max_body, until)))

    def close(self) -> None:
        """End what is idle; what is under way ends with its reply."""
        self._closing = True
        while self._idle:
            self._idle.pop().abort()


SendAgain = Callable[[InstancePool, bytes, bool, int, float], Coroutine[Any, Any, Reply]]
"""Sends what is encoded on a connection that is made for it: pool, request, whether its reply has no body, the most
bytes of one, and until when.
"""
