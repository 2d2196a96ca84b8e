"""One request and its reply: uvicorn's, with what a front door needs and uvicorn has not.

- What the app raises closes the connection where a reply has begun, so that no half reply looks whole.
- A body that breaks off in nonsense is a ``MalformedRequest`` where the app reads it.
- HTTP/1.0 gets no chunks: it does not know them, and the end of the connection is the end of its reply.
"""

import asyncio
import logging
import os
import socket
import struct
from typing import Any, Final

from starlette.types import ASGIApp

from bff_core.errors import GatewayError, MalformedRequest
from bff_core.server.reply_writer import ReplyWriter

__all__ = ["Exchange", "ExchangeWithoutChunks"]

_AT_ONCE: Final = struct.pack("ii", 1, 0)  # of SO_LINGER: close with a reset

_log = logging.getLogger("bff.server")


class Exchange(ReplyWriter):
    """One request and its reply."""

    malformed = False
    """What came of its body broke off in nonsense."""

    async def run_asgi(self, app: ASGIApp) -> None:  # type: ignore[override]
        """Answer it. What the app raises was its last word: the front door has drawn whatever could be drawn."""
        try:
            await app(self.scope, self.receive, self.send)  # type: ignore[arg-type]  # uvicorn's words for the same
        except (asyncio.CancelledError, GatewayError):
            pass  # the client has left, the server can wait no longer, or the front door has told the log
        except Exception as error:  # noqa: BLE001  the last one who could do anything about it
            _log.error("an app failed %s its reply", "after" if self.response_complete else "in", exc_info=error)
        finally:
            self.on_response = _nothing  # or connection and exchange are a cycle
        if not self.response_complete and not self.disconnected:
            self.abort()

    def abort(self) -> None:
        """End the connection in a way that nobody takes for the end of the reply."""
        self.transport.abort()

    async def receive(self) -> Any:
        """The next piece of the body, or that the client has left."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete and not self.malformed:
            if self.more_body:
                self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        if self.malformed:
            raise MalformedRequest("the body broke off")
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def be_last(self) -> None:
        """Nothing that the client says after this will be heard. It may still say it, and then read the reply."""
        self.keep_alive = False
        self.transport = _Lingering(self.transport)  # type: ignore[assignment]  # as far as it is used

    def break_off(self) -> None:
        """Nothing more of its body will come that makes sense."""
        self.be_last()
        self.malformed = True
        self.message_event.set()

    def leave(self) -> None:
        """Its client is gone."""
        self.disconnected = True
        self.message_event.set()
        self.flow.resume_writing()


class ExchangeWithoutChunks(Exchange):
    """One with a client that speaks HTTP/1.0."""

    _measured = False

    async def send(self, message: Any) -> None:
        """See ASGI."""
        if message["type"] == "http.response.start":
            self._measured = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
            self.chunked_encoding = None if self._measured else False
        elif not self._measured:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)

    def abort(self) -> None:
        """See ``Exchange``: here with a reset."""
        if (sock := self.transport.get_extra_info("socket")) is not None:
            with socket.socket(fileno=os.dup(sock.fileno())) as same:  # uvloop lets nobody at its own
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()


class _Lingering:
    """A transport that, when it is closed, still takes in what the client says: a connection that is closed before
    all was read is reset, and a client that still speaks is not told what it was sent.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        if self._transport.can_write_eof():
            self._transport.write_eof()


def _nothing() -> None:
    """Nobody waits for the end of this reply any more."""
