"""Asking an API over HTTP where instances are: it answers, or it is a ``SourceFailed``."""

import asyncio
from collections.abc import Sequence
from typing import Final

from bff_core.discovery.contract import SourceFailed
from bff_core.errors import GatewayError
from bff_core.wire import Instance, Reply, ReplyStream, Request
from bff_core.wire.header_lines import HeaderLines
from bff_core.wire.http1 import Http1Wire
from bff_core.wire.terms import Terms

__all__ = ["Api", "Headers", "without_secrets"]

Headers = Sequence[tuple[bytes, bytes]]

_MOST: Final = 64 * 1024 * 1024  # bytes of an answer: a cluster may be large
_SAID: Final = 200  # characters of what it says went wrong
_HIDDEN: Final = b"**********"


class Api:
    """Asks with GET, over connections of its own. ``name`` is for messages."""

    def __init__(self, name: str, url: str, terms: Terms | None = None) -> None:
        self._instance = Instance.parse(name, url)
        self._terms = {name: terms} if terms is not None else {}
        self._wire: Http1Wire | None = None

    async def get(self, target: str, headers: Headers, *, within: float) -> Reply:
        """The whole reply, with status 200, within so many seconds. Raises ``SourceFailed``."""
        # as a stream, because what is sent as a whole is sent again where a kept connection breaks, and a question that
        # was held by a server that died would be held by the next one, for news that only the first knew of
        stream = await self.stream(target, headers, within=within, body_within=within)
        try:
            body = b"".join([piece async for piece in stream])
        except GatewayError as error:
            raise SourceFailed(str(error)) from error
        finally:
            await stream.close()
        if stream.status != 200:
            raise SourceFailed(
                f"{self._instance.upstream}: answered {stream.status} to {target}: {_said(body, headers)}"
            )
        return Reply(stream.status, stream.headers, body)

    async def stream(self, target: str, headers: Headers, *, within: float, body_within: float) -> ReplyStream:
        """The head of a reply, whatever its status, within so many seconds, and then its body. Raises
        ``SourceFailed``; whoever reads it gets the errors of ``Wire.stream``.
        """
        now = asyncio.get_running_loop().time()
        try:
            return await self._open().stream(
                self._instance,
                self._request(target, headers),
                until=now + within,
                body_until=now + body_within,
                max_body=_MOST,
            )
        except GatewayError as error:
            raise SourceFailed(str(error)) from error

    async def close(self) -> None:
        """Let go of connections."""
        if self._wire is not None:
            await self._wire.close()

    def _open(self) -> Http1Wire:
        # when it is first asked, because a wire belongs to a loop
        if self._wire is None:
            self._wire = Http1Wire(connections=4, terms=self._terms)
        return self._wire

    def _request(self, target: str, headers: Headers) -> Request:
        return Request("GET", target, HeaderLines.of((b"accept", b"application/json"), *headers))


def without_secrets(said: bytes, sent: Headers) -> bytes:
    """What was answered, but for the credentials in the headers that were sent, whole or behind ``Bearer``: what stands
    between us and who is asked may answer with what it was sent.
    """
    for _, value in sent:
        said = said.replace(value.rpartition(b" ")[2], _HIDDEN)
    return said


def _said(body: bytes, sent: Headers) -> str:
    # hidden before it is cut, or a part of a secret would be left
    return without_secrets(body, sent)[:_SAID].decode("utf-8", "replace").strip()
