"""A service's reply, handed on to the client as it arrives."""

from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bff_core.context import current
from bff_core.wire import ReplyStream

__all__ = ["HandedOn"]

# an allow-list, because what else a service says is between it and us
_PASSED: Final = frozenset(
    {b"content-type", b"content-length", b"etag", b"cache-control", b"age", b"expires", b"last-modified", b"vary"}
)


class HandedOn(Response):
    """A response that is a reply: its status, the headers meant for clients, and its body piece by piece.

    ``for_anybody`` says that it is the same whoever asks, and that everybody may: then caches that many share may keep
    it as the service says.
    """

    def __init__(self, reply: ReplyStream, *, for_anybody: bool = False) -> None:
        self._reply = reply
        self._for_anybody = for_anybody
        self.status_code = reply.status
        self.background = None
        passed = _PASSED - {b"content-length"} if reply.status == 304 else _PASSED  # servers hold us to it, also then
        self.raw_headers = [(name, value) for name, value in reply.headers if name in passed]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's signature
        """Send it on. A reply that breaks off ends the client's connection rather than pretending to be whole."""
        if self._for_anybody:
            current().for_anybody = True
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for chunk in self._reply:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await self._reply.close()
