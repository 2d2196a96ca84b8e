"""What every wire promises, and the four things that travel over it.

A wire sends one request to one instance and reads one reply. It has no opinion: retries, circuits, balancing and
deadlines of pages are the caller's. Moments (``until``) are seconds of the running loop's clock.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from bff_core.wire.header_lines import NO_HEADERS

__all__ = [
    "MAX_HEADERS",
    "MAX_HEADER_BLOCK",
    "Connections",
    "Instance",
    "Reply",
    "ReplyStream",
    "Request",
    "Wire",
    "header",
]

MAX_HEADERS: Final = 100
MAX_HEADER_BLOCK: Final = 32 * 1024  # bytes
"""What a wire takes for the head of a reply; more is a bad reply."""


class Instance(NamedTuple):
    """One address of an upstream. Where ``scheme`` is ``unix``, ``host`` is the path of a socket."""

    # a tuple, because every call looks for the connections of its instance, and its hash is worked out in C
    upstream: str
    scheme: str
    host: str
    port: int
    name: str = ""
    """What it is called in ``Host`` and in certificates, where that is not ``host``."""

    @classmethod
    def parse(cls, upstream: str, url: str) -> "Instance":
        """From ``http://host:port`` (without a port, the scheme's own) or ``unix:/path``."""
        if url.startswith("unix:"):
            return cls(upstream, "unix", url.removeprefix("unix:"), 0)
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return cls(upstream, parts.scheme, parts.hostname or "", port)

    @property
    def called(self) -> str:
        """Its name where it has one, else its host."""
        return self.name or self.host

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix:{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(slots=True)  # not frozen, here and below, because making one takes three times as long then
class Request:
    """What is sent. ``target`` is path and query, already percent-encoded; header names are lower case.

    A ``body`` that comes piece by piece goes out in chunks, or, where a ``content-length`` is among the headers, as
    exactly that many bytes. It can be sent once, so its request is never repeated, and it is closed where it can be.
    """

    method: str
    target: str
    headers: Sequence[tuple[bytes, bytes]] = NO_HEADERS
    body: bytes | AsyncIterable[bytes] = b""

    unsent: bool = False
    """Nothing of it has left this machine, as the wire that has it knows for certain: it still connects."""


@dataclass(slots=True)
class Reply:
    """What came back, whole. Header names are lower case."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


class Connections(NamedTuple):
    """Those to one instance."""

    open: int
    sent_again: int
    """Requests that were sent once more, over a fresh connection, because the kept one had been closed before it saw
    them; since the first one.
    """


class ReplyStream(Protocol):
    """What comes back, piece by piece. Whoever gets one closes it."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body as it arrives; the same errors as ``Wire.send``."""
        ...

    async def close(self) -> None:
        """Let go of the connection, whether the body was read or not."""
        ...


class Wire(Protocol):
    """A way to reach instances. Cancelling a call leaves the wire whole for the others."""

    def send(self, instance: Instance, request: Request, *, until: float, max_body: int) -> Awaitable[Reply]:
        """The whole reply before ``until``.

        Raises ``Unreachable`` (no connection, or one that broke), ``TimedOut`` (not whole in time), ``BadReply``
        (not HTTP, or longer than ``max_body`` bytes), ``Busy`` (no room for one more). Of a body that comes piece by
        piece: what its source raises, ``TooLate`` where that is too slow, ``ValueError`` where it is not as long as it
        says.
        """
        ...

    async def stream(
        self, instance: Instance, request: Request, *, until: float, body_until: float | None = None, max_body: int
    ) -> ReplyStream:
        """The head of the reply before ``until``; its body, as it arrives, to be read before ``body_until``.

        The body has a moment of its own because it moves at the pace of whoever reads it. By default the same one.
        """
        ...

    def connections(self, instance: Instance) -> Connections | None:
        """How it is connected, for operators; ``None`` where the wire cannot tell."""
        ...

    def retire(self, instance: Instance) -> None:
        """It is an instance no more: end its idle connections now, and those under way with their reply."""
        ...

    async def close(self) -> None:
        """End what is idle, and wait for what is under way."""
        ...


def header(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The first value of a header, or ``None``. ``name`` is lower case."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None
