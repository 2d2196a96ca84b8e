"""Writes a reply: head and body at once where they are there at once.

uvicorn writes them apart, which is two system calls and two packets, and looks into every header with two regular
expressions.
"""

import re
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

__all__ = ["ReplyWriter"]

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2

_BODILESS: Final = frozenset({204, 304})
_OF_THE_CONNECTION: Final = frozenset({b"content-length: ", b"transfer-encoding: ", b"connection: "})
_BEGINNINGS: Final[dict[bytes, bytes]] = {}
"""Of header lines, by the name that the app gives: an app has a few names, and says them all the time."""

_MOST_BEGINNINGS: Final = 1000  # for one that makes them up


class ReplyWriter(RequestResponseCycle):
    """The half of uvicorn's exchange that writes."""

    _bodiless = False
    _head = b""
    """What was not written yet: a head that says how long its body is waits for it."""

    async def send(self, message: Any) -> None:
        """What the app says: a head, then pieces of a body. ``RuntimeError`` for what is no reply."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._begin(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._go_on(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"{message['type']!r} has no place in a reply here")

    def _begin(self, status: int, headers: Any) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        self._bodiless = self.scope["method"] == "HEAD" or status in _BODILESS
        lines = [STATUS_LINE[status][:-2]]
        for name, value in (*self.default_headers, *headers):
            beginning = _BEGINNINGS.get(name) or _beginning(name)
            if beginning not in _OF_THE_CONNECTION or self._takes(beginning, value):
                lines.append(beginning + value)
        if not self.keep_alive:
            lines.append(b"connection: close")
        if self.chunked_encoding is None and not self._bodiless:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked")
        head = b"\r\n".join(lines)
        breaks = len(lines) - 1
        if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
            raise RuntimeError("a header of the reply holds a line break or a NUL")
        self._head = head + b"\r\n\r\n"
        if self.chunked_encoding is not False:
            self._write(b"")

    def _takes(self, beginning: bytes, value: bytes) -> bool:
        """Learn from a header that matters to the connection; whether it is to be sent."""
        if beginning == b"content-length: ":
            if not value.isdigit() or self.chunked_encoding is False:
                raise RuntimeError("a reply says twice, or unclearly, how long it is")
            self.expected_content_length = int(value)
            self.chunked_encoding = False
        elif beginning == b"transfer-encoding: ":
            return False  # where a body ends is for the server to say
        elif beginning == b"connection: " and b"close" in value.lower():
            self.keep_alive = False
            return False
        return True

    def _go_on(self, body: bytes, more: bool) -> None:
        if self._bodiless:
            self.expected_content_length = 0
            self._write(b"")
        elif self.chunked_encoding:
            self._write((b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n"))
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (self.expected_content_length and not more):
                raise RuntimeError("a body that is not as long as its content-length")
            self._write(body)
        if not more:
            self._end()

    def _write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if head or data:
            self.transport.write(head + data)

    def _end(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _beginning(name: bytes) -> bytes:
    if len(_BEGINNINGS) >= _MOST_BEGINNINGS:
        _BEGINNINGS.clear()
    if not _TOKEN.fullmatch(name):
        raise RuntimeError(f"{name!r} is no name of a header")
    found = _BEGINNINGS[name] = name.lower() + b": "
    return found
