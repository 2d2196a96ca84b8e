"""An upstream of one server, which does one thing after the other, and can go dark."""

import asyncio
from dataclasses import dataclass
from math import inf
from typing import Literal, NoReturn

from bff_core.errors import TimedOut, Unreachable
from bff_core.wire import Instance, Reply, Request
from bff_core.wire.promise import Promise

__all__ = ["BRIGHT", "Darkness", "OneServer"]

REFUSAL = 0.001  # seconds until it is known


@dataclass(frozen=True)
class Darkness:
    """Nothing is answered from ``start`` to ``end``: connections are refused, or nothing that is sent arrives."""

    how: Literal["refuses", "hangs"] = "refuses"
    start: float = 0.0
    end: float = inf

    def __contains__(self, moment: float) -> bool:
        return self.start <= moment < self.end


BRIGHT = Darkness(start=inf)


class OneServer:
    """A ``Wire`` to a queue without end: first come, first served, each within ``service`` seconds.

    Work is done for those too who have left, as servers do that do not look whether anyone still waits. ``attempts``
    are the moments at which something was sent.
    """

    def __init__(self, darkness: Darkness = BRIGHT, *, service: float = 0.01) -> None:
        self._darkness, self._service = darkness, service
        self._reply = Reply(200, ((b"content-type", b"application/json"),), b'{"id": "pojos"}')
        self._free = 0.0
        self.attempts: list[float] = []

    def send(self, instance: Instance, request: Request, *, until: float, max_body: int) -> Promise[Reply]:
        """See ``Wire.send``."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.attempts.append(now)
        promise: Promise[Reply] = Promise(loop)
        if now in self._darkness and self._darkness.how == "refuses":
            loop.call_later(REFUSAL, promise.break_, Unreachable(instance.upstream, "connection refused"))
        elif (done := self._done(now)) < until:
            loop.call_at(done, promise.keep, self._reply)
        else:
            loop.call_at(until, promise.break_, TimedOut(instance.upstream, "no whole reply in time"))
        return promise

    def _done(self, now: float) -> float:
        if now in self._darkness:
            return inf
        self._free = max(now, self._free) + self._service
        return self._free

    async def stream(
        self, instance: Instance, request: Request, *, until: float, body_until: float | None = None, max_body: int
    ) -> NoReturn:
        """See ``Wire.stream``; nobody streams here."""
        raise NotImplementedError

    async def close(self) -> None:
        """See ``Wire.close``."""
