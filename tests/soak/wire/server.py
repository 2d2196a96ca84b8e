"""``python -m tests.soak.wire.server SEED FOLDER``: answers every request as its lot says.

It listens over TCP, TLS and a Unix socket in ``FOLDER``, where its certificate is too. It says at which ports, and then
answers every line on standard input with what it knows, both as JSON; ``out`` closes what is idle before that. It ends
with standard input.
"""

import asyncio
import json
import socket
import ssl
import struct
import sys
from collections import Counter, deque
from pathlib import Path

import httptools
import uvloop

from tests.soak.wire.lot import Lot, content, draw
from tests.soak.wire.script import Script, script

__all__ = ["Known", "Side"]

_BACKLOG = 4096
_AT_ONCE = struct.pack("ii", 1, 0)  # l_onoff, l_linger: what is closed is reset


class Known:
    """What the server knows about everyone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.sides: dict[Side, str] = {}
        self.accepted = self.asked = 0
        self.offences: list[str] = []
        """What no client may do."""

    def as_line(self) -> bytes:
        """For whoever asks."""
        known = {
            "open": Counter(self.sides.values()),
            "accepted": self.accepted,
            "asked": self.asked,
            "offences": self.offences[:10],
        }
        return json.dumps(known).encode() + b"\n"

    def out(self) -> None:
        """Close whatever is idle."""
        for side in list(self.sides):
            side.close_if_idle()


class Side(asyncio.Protocol):
    """This side of one connection."""

    def __init__(self, known: Known, place: str) -> None:
        self._known, self._place = known, place
        self._lot: Lot | None = None
        self._body: list[bytes] = []
        self._next: asyncio.TimerHandle | asyncio.Handle | None = None
        self._whole = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._known.sides[self] = self._place
        self._known.accepted += 1

    def connection_lost(self, error: Exception | None) -> None:
        del self._known.sides[self]
        self._forget()
        self._parser = None  # which knows us

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._offence(f"no HTTP: {error}: {data[:100]!r}")

    # httptools calls these

    def on_url(self, url: bytes) -> None:
        if self._lot is not None or not self._whole:
            self._offence(f"{url!r} before the reply to the request before it was whole")
        self._forget()
        self._whole = False
        self._body = []
        self._lot = draw(self._known.seed, int(url[1:]))
        self._known.asked += 1

    def on_headers_complete(self) -> None:
        assert self._lot is not None
        if self._parser.get_method().decode() != self._lot.question.method:
            self._offence("another method")
        if self._lot.question.place != self._place:
            self._offence("another place")
        if self._lot.fault == "early reply":
            self._play(script(self._lot))
        elif self._lot.question.size and self._lot.answer.pause:
            self._transport.pause_reading()
            self._next = self._loop.call_later(self._lot.answer.pause, self._transport.resume_reading)

    def on_body(self, piece: bytes) -> None:
        self._body.append(piece)

    def on_message_complete(self) -> None:
        self._whole = True
        if self._lot is None:  # it had its reply
            return
        if not self._lot.completes:
            self._offence("a request whose body was never whole")
        if b"".join(self._body) != content(self._lot.number, self._lot.question.size):
            self._offence("another body")
        if self._lot.fault != "early reply":
            self._play(script(self._lot))

    # a script is played

    def _play(self, found: Script) -> None:
        self._pieces = deque(found.pieces)
        self._then = found.then
        self._say()

    def _say(self) -> None:
        pause = self._lot.answer.pause
        while self._pieces:
            self._transport.write(self._pieces.popleft())
            if self._pieces and pause is not None:
                self._next = self._loop.call_later(pause, self._say)
                return
        getattr(self, "_then_" + self._then.replace(" ", "_"))()

    def _then_kept(self) -> None:
        if self._lot.fault != "silence":
            self._lot = None

    def _then_said(self) -> None:
        self._transport.close()

    _then_closed = _then_said

    def _then_closed_later(self) -> None:
        self._lot = None
        self._next = self._loop.call_later(0.001, self._transport.close)

    def _then_reset(self) -> None:
        if self._place != "unix":
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._next = self._loop.call_soon(self._transport.abort)  # not before what was said has gone out

    def close_if_idle(self) -> None:
        if self._lot is None and self._whole:
            self._transport.close()

    def _forget(self) -> None:
        if self._next is not None:
            self._next.cancel()

    def _offence(self, what: str) -> None:
        self._known.offences.append(f"{what}: {self._lot}")
        self._transport.abort()


async def _serve(seed: int, folder: Path) -> None:
    loop, known = asyncio.get_running_loop(), Known(seed)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    over_tcp = await loop.create_server(lambda: Side(known, "tcp"), "127.0.0.1", 0, backlog=_BACKLOG)
    over_tls = await loop.create_server(lambda: Side(known, "tls"), "127.0.0.1", 0, backlog=_BACKLOG, ssl=tls)
    await loop.create_unix_server(lambda: Side(known, "unix"), folder / "socket", backlog=_BACKLOG)
    ports = {name: server.sockets[0].getsockname()[1] for name, server in {"tcp": over_tcp, "tls": over_tls}.items()}
    say(json.dumps(ports).encode() + b"\n")
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async for order in orders:
        if order == b"out\n":
            known.out()
        say(known.as_line())


def say(line: bytes) -> None:
    """To whoever started this process."""
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), Path(sys.argv[2])))
