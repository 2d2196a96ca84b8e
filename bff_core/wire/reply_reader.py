"""One reply of HTTP/1.1 as it is read: what httptools says of it, held against what a reply may be.

httptools (llhttp) parses, strictly: both ``Content-Length`` and ``Transfer-Encoding``, doubled or malformed lengths,
obs-fold, bare CR or LF, NUL, white space before the colon are protocol errors. What a server says beyond its one reply
is one too.
"""

from typing import Final

import httptools

from bff_core.errors import BadReply, UpstreamError
from bff_core.wire.coding import Decoding, without_codings
from bff_core.wire.contract import MAX_HEADER_BLOCK, MAX_HEADERS, Instance, Reply
from bff_core.wire.known_heads import KnownHeads
from bff_core.wire.reply_body import ReplyBody

__all__ = ["ReplyReader"]

_MAX_INFORMATIONAL: Final = 8


class ReplyReader:
    """Reads one reply after the other; what is wrong with one stands in ``_error``, the first thing first.

    A connection is one rather than has one, because the hot path makes nothing for a call that it can do without.
    """

    def __init__(self, instance: Instance, heads: KnownHeads) -> None:
        self._instance = instance
        self._heads = heads
        self._stream: ReplyBody | None = None
        self._body: list[bytes] = []
        # for each reply anew
        self._parser: httptools.HttpResponseParser | None = None
        self._head_only, self._max_body = False, 0
        self._status = 0
        self._complete = False
        self._error: UpstreamError | None = None

    def _read(self, data: bytes) -> None:
        first = self._parser is None
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
            self._informational = self._head_bytes = 0
            self._begin()
        self._feed(self._parser, data)
        if self._complete and first and self._is_plain():
            self._heads.keep(data, self._status, self._headers)

    def _feed(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        if not self._status:
            self._head_bytes += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._wrong("switches to a protocol nobody asked for")
        except httptools.HttpParserError as error:
            self._wrong(f"no HTTP: {error}")
        if not self._status and self._head_bytes > MAX_HEADER_BLOCK:
            self._wrong("a head without end")
        if self._complete and self._decoding is not None:
            self._end_of_body()

    def _is_plain(self) -> bool:
        """Its head says how long it is, and nothing else that matters to who reads it."""
        plain = self._length_known and self._keep_alive and not self._head_only and not self._coded
        return plain and not self._informational and self._error is None

    def _end_of_body(self) -> None:
        if self._decoding is not None and self._stream is None and self._error is None:
            try:
                self._decoding.end()
            except BadReply as error:
                self._error = error

    def _whole(self) -> Reply:
        body, self._body = self._body, []
        return Reply(self._status, self._headers, body[0] if len(body) == 1 else b"".join(body))

    def _ends_with_connection(self) -> bool:
        return self._status >= 200 and not (self._length_known or self._chunked or self._error)

    # httptools calls these

    def on_message_begin(self) -> None:
        """A reply begins."""
        if self._complete:
            self._wrong("more than one reply")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of it."""
        self._header_bytes += len(name) + len(value)
        if len(self._headers) >= MAX_HEADERS or self._header_bytes > MAX_HEADER_BLOCK:
            self._wrong("too many headers")
            return
        name = name.lower()
        if name == b"content-length":
            self._length_known = True
        elif name == b"transfer-encoding":
            self._chunked = True
            if value.strip().lower() != b"chunked":
                self._wrong(f"transfer coding {value!r}")
        elif name == b"content-encoding":
            self._coded = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Its head is there."""
        assert self._parser is not None
        self._status = self._parser.get_status_code()
        self._keep_alive = self._parser.should_keep_alive()
        if not 100 <= self._status <= 599 or self._status == 101:
            self._wrong(f"status {self._status}")
        elif self._head_only and self._status >= 200:
            self._complete = True
        if self._coded:
            self._expect_coded()

    def on_body(self, chunk: bytes) -> None:
        """A piece of its body."""
        if self._complete:
            self._wrong("a body where there is none")
        elif self._decoding is not None:
            self._take_coded(chunk, self._decoding)
        else:
            self._size += len(chunk)
            if self._size > self._max_body:
                self._wrong(f"body over {self._max_body} bytes")
            else:
                (self._body if self._stream is None else self._stream).append(chunk)

    def on_message_complete(self) -> None:
        """It is whole."""
        if self._status >= 200:
            self._complete = True
            return
        self._informational += 1
        if self._informational > _MAX_INFORMATIONAL:
            self._wrong("too many interim replies")
        self._begin()

    def _begin(self) -> None:
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._body = []
        self._size = 0
        self._decoding: Decoding | None = None
        self._length_known = self._chunked = self._coded = self._keep_alive = False

    def _expect_coded(self) -> None:
        try:
            self._headers, self._decoding = without_codings(self._instance.upstream, self._headers, self._max_body)
        except BadReply as error:
            self._error = self._error or error

    def _take_coded(self, chunk: bytes, decoding: Decoding) -> None:
        if self._stream is not None:  # which decodes when it is read
            self._stream.append(chunk)
        elif self._error is None:
            try:
                self._body.extend(decoding.feed(chunk))
            except BadReply as error:
                self._error = error

    def _wrong(self, what: str) -> None:
        # told apart from what the parser finds, because a callback that raises loses its message
        if self._error is None:
            self._error = BadReply(self._instance.upstream, what)
