"""The wire over httpx: only for upstreams you trust, and what tests with respx go through.

Cancelling httpx poisons its pool for good (encode/httpcore#1093, unfixed and frozen), and its own pool timeout is such
a cancellation. So each exchange runs in a task of its own that is never cancelled: whoever asked stops waiting, and the
exchange ends by itself, when ``until`` has come at the latest (see ``wire/punctual.py``). And nobody ever waits in the
pool: room for a connection is waited for here, and given back when the exchange has really ended.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

import httpcore
import httpx

from bff_core.errors import BadReply, Busy, TimedOut, TooLate, Unreachable
from bff_core.wire.coding import decoded, without_codings
from bff_core.wire.contract import MAX_HEADER_BLOCK, MAX_HEADERS, Instance, Reply, ReplyStream, Request
from bff_core.wire.encoding import declared_length, host
from bff_core.wire.promise import errand
from bff_core.wire.punctual import PunctualBackend, exchange_until
from bff_core.wire.terms import ORDINARY, Terms, TermsByUpstream
from bff_core.wire.upload import measured

__all__ = ["CONNECTIONS", "HttpxWire"]

T = TypeVar("T")

CONNECTIONS: Final = 200
"""To all instances together, at most."""

_ENDED_EARLY: Final = ("Server disconnected", "peer closed connection")


class HttpxWire:
    """A wire on httpx's transport. What it cannot be strict about: docs/decisions/0001.

    There is no ``httpx.Client`` around it, because that keeps Alice's cookies and sends them for Bob, takes proxies and
    ``.netrc`` from wherever the gateway was started, and reads ``Location`` even where it follows no redirect.
    """

    def __init__(self, *, connections: int = CONNECTIONS, terms: TermsByUpstream = ORDINARY) -> None:
        self._connections = connections
        self._terms = terms
        self._ways: dict[tuple[str, str], _Way] = {}
        self._room = asyncio.Semaphore(connections)
        self._exchanges: set[asyncio.Task[Any]] = set()
        self._closing: set[asyncio.Task[None]] = set()

    async def send(self, instance: Instance, request: Request, *, until: float, max_body: int) -> Reply:
        """See ``Wire.send``."""
        return await errand(self._send(instance, request, until, max_body))

    async def stream(
        self, instance: Instance, request: Request, *, until: float, body_until: float | None = None, max_body: int
    ) -> ReplyStream:
        """See ``Wire.stream``."""
        stream = _Stream(until, until if body_until is None else body_until)
        try:
            await errand(self._open(stream, instance, request, until, max_body))
        except BaseException:
            await stream.close()
            raise
        return stream

    async def _send(self, instance: Instance, request: Request, until: float, max_body: int) -> Reply:
        await self._find_room(instance, until)
        exchange = self._start(self._whole(instance, request, until, max_body))
        await asyncio.wait({exchange}, timeout=until - asyncio.get_running_loop().time())
        if not exchange.done():
            raise TimedOut(instance.upstream, "no whole reply in time")
        return exchange.result()

    async def _open(self, stream: "_Stream", instance: Instance, request: Request, until: float, max_body: int) -> None:
        await self._find_room(instance, until)
        self._start(self._piecewise(stream, instance, request, until, max_body))
        await stream.opened(instance)

    def connections(self, instance: Instance) -> None:
        """See ``Wire.connections``."""

    def retire(self, instance: Instance) -> None:
        """See ``Wire.retire``; httpx lets nobody end the connections of one beside others, so that they end when they
        were idle for half a minute and one of the others is called. A name that only it had is let go of at once.
        """
        key = _apart(instance)
        way = self._ways.get(key)
        if way is None:
            return
        way.instances.discard(instance)
        if key[1] and not way.instances:
            del self._ways[key]  # or names that come and go would be kept for ever
            closing = asyncio.get_running_loop().create_task(way.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """See ``Wire.close``."""
        while under_way := self._exchanges | self._closing:
            await asyncio.wait(under_way)
        for way in self._ways.values():
            await way.close()

    async def _find_room(self, instance: Instance, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._room.acquire()
        except TimeoutError:
            raise Busy(instance.upstream, "every connection is taken") from None

    def _way(self, instance: Instance) -> "_Way":
        key = _apart(instance)
        way = self._ways.get(key)
        if way is None:
            terms = self._terms.get(instance.upstream) or Terms()
            way = self._ways[key] = _Way(instance, terms, self._connections)
        way.instances.add(instance)
        return way

    def _start(self, exchange: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(exchange)
        self._exchanges.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._exchanges.discard(task)
        self._room.release()
        if not task.cancelled():  # by a loop that is being closed
            task.exception()  # looked at, because nobody else may be waiting any more

    async def _whole(self, instance: Instance, request: Request, until: float, max_body: int) -> Reply:
        async with self._exchange(instance, request, until) as response:
            headers, chunks = _reply(response, instance, max_body)
            async with aclosing(chunks):
                body = b"".join([chunk async for chunk in chunks])
            return Reply(response.status_code, headers, body)

    async def _piecewise(
        self, stream: "_Stream", instance: Instance, request: Request, until: float, max_body: int
    ) -> None:
        try:
            async with self._exchange(instance, request, until) as response:
                headers, chunks = _reply(response, instance, max_body)
                stream.open(response.status_code, headers)
                exchange_until.set(stream.body_until)
                async with aclosing(chunks):
                    async for chunk in chunks:
                        if not await stream.put(chunk):
                            return
                stream.end(None)
        except Exception as error:  # noqa: BLE001  raised again where the stream is read
            stream.end(error)

    @asynccontextmanager
    async def _exchange(self, instance: Instance, request: Request, until: float) -> AsyncIterator[httpx.Response]:
        exchange_until.set(until)
        way = self._way(instance)
        with _typed_errors(instance), way.used():
            async with _content(request, until) as content:
                response = await way.transport.handle_async_request(_outgoing(instance, request, content, way.terms))
            try:
                _check_head(response, instance)
                yield response
            finally:
                await response.aclose()


@contextmanager
def _typed_errors(instance: Instance) -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException as error:
        raise TimedOut(instance.upstream, "no whole reply in time") from error
    except httpx.RemoteProtocolError as error:
        kind = Unreachable if str(error).startswith(_ENDED_EARLY) else BadReply
        raise kind(instance.upstream, str(error)) from error
    except (httpx.NetworkError, httpx.InvalidURL) as error:  # the address of an instance is all of its URL
        raise Unreachable(instance.upstream, str(error) or type(error).__name__) from error
    except httpx.LocalProtocolError as error:  # a bug of ours, as on the other wire
        raise ValueError(str(error)) from error
    except httpx.TransportError as error:  # whatever else it may think of
        raise BadReply(instance.upstream, str(error) or type(error).__name__) from error


def _apart(instance: Instance) -> tuple[str, str]:
    # by upstream, because a connection made on one's terms is no other's; httpcore has one way for a socket, and does
    # not tell apart what was proven to be called differently at one address
    return instance.upstream, {"unix": instance.host, "https": instance.name}.get(instance.scheme, "")


class _Way:
    """How one upstream is reached."""

    def __init__(self, instance: Instance, terms: Terms, connections: int) -> None:
        self.terms = terms
        self.instances: set[Instance] = set()
        self._exchanges = 0
        self._unused = asyncio.Event()
        self._unused.set()
        self.transport = httpx.AsyncHTTPTransport(verify=terms.tls, trust_env=False)
        # the one way to hand httpx a network backend
        self.transport._pool = httpcore.AsyncConnectionPool(
            ssl_context=terms.tls,
            max_connections=connections,
            keepalive_expiry=30.0,
            uds=instance.host if instance.scheme == "unix" else None,
            network_backend=PunctualBackend(),
        )

    @contextmanager
    def used(self) -> Iterator[None]:
        """For an exchange."""
        self._exchanges += 1
        self._unused.clear()
        try:
            yield
        finally:
            self._exchanges -= 1
            if not self._exchanges:
                self._unused.set()

    async def close(self) -> None:
        """When nothing is under way any more."""
        await self._unused.wait()
        await self.transport.aclose()


class _Stream:
    """A reply on its way, handed from the exchange to whoever asked, one chunk at a time."""

    def __init__(self, until: float, body_until: float) -> None:
        self.status = 0
        self.headers: Sequence[tuple[bytes, bytes]] = ()
        self.body_until = body_until
        self._until = until
        self._chunks: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self._wanted = asyncio.Semaphore(1)
        self._left = False

    def open(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.status, self.headers = status, headers
        self._chunks.put_nowait(b"")

    async def opened(self, instance: Instance) -> None:
        try:
            async with asyncio.timeout_at(self._until):
                head = await self._chunks.get()
        except TimeoutError:
            raise TimedOut(instance.upstream, "no reply in time") from None
        if isinstance(head, Exception):
            raise head

    async def put(self, chunk: bytes) -> bool:
        """Hand one chunk over once the last one was taken; false when nobody takes them any more."""
        try:
            async with asyncio.timeout_at(self.body_until):  # our own wait, not one of httpx
                await self._wanted.acquire()
        except TimeoutError:
            self._left = True
        self._chunks.put_nowait(chunk if not self._left else Unreachable("client", "reads too slowly"))
        return not self._left

    def end(self, error: Exception | None) -> None:
        self._chunks.put_nowait(error)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._chunks.get()) is not None:
            if isinstance(chunk, Exception):
                raise chunk
            self._wanted.release()
            yield chunk

    async def close(self) -> None:
        self._left = True
        self._wanted.release()


def _outgoing(
    instance: Instance, request: Request, content: bytes | AsyncIterator[bytes], terms: Terms
) -> httpx.Request:
    # as it is, and never part of a URL, which would resolve dot segments and could name another host
    extensions: dict[str, Any] = {"target": request.target.encode()}
    if proves := terms.server_name or instance.name:
        extensions["sni_hostname"] = proves
    return httpx.Request(
        request.method,
        _url(instance),
        headers=[(b"host", host(instance)), *request.headers, (b"accept-encoding", terms.accept_encoding)],
        content=content,
        extensions=extensions,
    )


@asynccontextmanager
async def _content(request: Request, until: float) -> AsyncIterator[bytes | AsyncIterator[bytes]]:
    if isinstance(request.body, bytes):
        yield request.body
    else:
        pieces = measured(request.body, declared_length(request))
        async with aclosing(pieces):  # which httpcore does not do
            yield _in_time(pieces, until)


async def _in_time(pieces: AsyncIterator[bytes], until: float) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout_at(until):  # our own wait, not one of httpx
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise TooLate("the body of the request did not come in time") from None
        yield piece


def _url(instance: Instance) -> httpx.URL:
    if instance.scheme == "unix":
        return httpx.URL("http://localhost")
    return httpx.URL(scheme=instance.scheme, host=instance.host, port=instance.port)


def _check_head(response: httpx.Response, instance: Instance) -> None:
    # httpx takes a status of 999 and 10,000 headers for an answer
    if not 200 <= response.status_code <= 599:
        raise BadReply(instance.upstream, f"status {response.status_code}")
    raw = response.headers.raw
    if len(raw) > MAX_HEADERS or sum(len(name) + len(value) for name, value in raw) > MAX_HEADER_BLOCK:
        raise BadReply(instance.upstream, "too many headers")


def _reply(
    response: httpx.Response, instance: Instance, max_body: int
) -> tuple[list[tuple[bytes, bytes]], AsyncGenerator[bytes, None]]:
    raw = [(name.lower(), value) for name, value in response.headers.raw]
    headers, decoding = without_codings(instance.upstream, raw, max_body)
    if decoding is None:
        return headers, _limited(response, instance, max_body)
    return headers, decoded(response.aiter_raw(), decoding)


async def _limited(response: httpx.Response, instance: Instance, max_body: int) -> AsyncGenerator[bytes, None]:
    total = 0
    async for chunk in response.aiter_raw():
        total += len(chunk)
        if total > max_body:
            raise BadReply(instance.upstream, f"body over {max_body} bytes")
        yield chunk
