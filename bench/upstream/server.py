"""The upstream where there is no nginx: ``python -m bench.upstream.server PORT``."""

import asyncio
import sys
from pathlib import Path
from typing import Final, cast

import httptools
import uvloop

__all__ = ["main"]

_ITEM: Final = Path(__file__).with_name("item.json").read_bytes()
_BACKLOG: Final = 2048


class _Exchange(asyncio.Protocol):
    """One connection: the same reply to every request, but for ``/_count``, as nginx's stub_status says it."""

    requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_message_complete(self) -> None:
        _Exchange.requests += 1
        if self._url == b"/_count":
            self._transport.write(
                _reply(b"server accepts handled requests\n 0 0 %d \n" % _Exchange.requests, b"text/plain")
            )
        else:
            self._transport.write(_ANSWER)


def _reply(body: bytes, media_type: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (media_type, len(body), body)


_ANSWER: Final = _reply(_ITEM, b"application/json")


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Exchange, "127.0.0.1", port, backlog=_BACKLOG)
    await server.serve_forever()


def main(port: int) -> None:
    """Serve until it is ended."""
    uvloop.run(_serve(port))


if __name__ == "__main__":
    main(int(sys.argv[1]))
