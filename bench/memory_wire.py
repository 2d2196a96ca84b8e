"""A wire without a network: the same reply to everything, in the next turn of the loop."""

import asyncio
from typing import Final, NoReturn

from bff_core.wire import Instance, Reply, Request
from bff_core.wire.promise import Promise

__all__ = ["MemoryWire"]


class MemoryWire:
    """A ``Wire`` that costs next to nothing, so that what stands above it is seen."""

    def __init__(self, body: bytes) -> None:
        length: Final = (b"content-length", b"%d" % len(body))
        self._reply = Reply(200, ((b"content-type", b"application/json"), length), body)
        self._loop = asyncio.get_running_loop()
        self.asked: Request | None = None
        """What was asked last."""

    async def send(
        self,
        instance: Instance,  # noqa: ARG002  a wire's signature
        request: Request,
        *,
        until: float,  # noqa: ARG002
        max_body: int,  # noqa: ARG002
    ) -> Reply:
        """See ``Wire.send``."""
        self.asked = request
        promise = Promise[Reply](self._loop, _forgotten)
        self._loop.call_soon(promise.keep, self._reply)
        return await promise

    async def stream(
        self, instance: Instance, request: Request, *, until: float, body_until: float | None = None, max_body: int
    ) -> NoReturn:
        """See ``Wire.stream``; nobody streams here."""
        raise NotImplementedError

    def connections(self, instance: Instance) -> None:
        """See ``Wire.connections``."""

    def retire(self, instance: Instance) -> None:
        """See ``Wire.retire``; nothing is kept open."""

    async def close(self) -> None:
        """See ``Wire.close``."""


def _forgotten() -> None:
    """Nothing is under way that could be ended."""
