"""A wire on which every attempt ends as the test has written, and a shop behind it that is as short as one can be."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bff_core.context import RequestContext, enter
from bff_core.discovery import Source
from bff_core.errors import GatewayError, TimedOut, Unreachable
from bff_core.services.client import Answer, ServiceClient, in_bulk
from bff_core.testing import VirtualTimeLoop
from bff_core.upstream import Call, Upstream
from bff_core.upstream_settings import UpstreamSettings
from bff_core.wire import Instance, Reply, ReplyStream, Request, header
from bff_core.wire.promise import Promise

T = TypeVar("T")


class Book(Answer):
    id: str


class Other(Answer):
    """Another model of the same."""

    id: str


class Order(Answer):
    """What is sent to buy a book."""

    book: str = "pojos"


class Shop(ServiceClient):
    service = "shop"

    def book(self, book_id: str = "pojos", *, hedged: bool = False) -> Call[Book]:
        return self.get("/books/{book_id}", book_id=book_id, returns=Book, hedged=hedged)

    @in_bulk("books", by="id")
    def one(self, book_id: str) -> Call[Book]:
        return self.get("/books/{book_id}", book_id=book_id, returns=Book)

    def books(self, ids: Sequence[str]) -> Call[list[Book]]:
        return self.get("/books", query={"id": ids}, returns=list[Book])

    def buy(self, key: str | None = None) -> Call[Book]:
        return self.post("/orders", content=Order(), returns=Book, idempotency_key=key)

    def shelve(self) -> Call[Book]:
        return self.put("/shelf", content=Order(), returns=Book)

    def discard(self) -> Call[None]:
        return self.delete("/books/{book_id}", book_id="pojos")

    def picture(self) -> Call[ReplyStream]:
        return self.download("/covers/{name}", name="pojos", media_type="application/json", if_none_match=None)


@dataclass
class Step:
    """How one attempt ends, and after how many seconds; after none, before it is waited for."""

    outcome: Reply | GatewayError
    after: float = 0.0


def replying(content: Any, *, after: float = 0.0, status: int = 200, retry_after: int | None = None) -> Step:
    headers = [(b"content-type", b"application/json")]
    if retry_after is not None:
        headers.append((b"retry-after", b"%d" % retry_after))
    return Step(Reply(status, headers, json.dumps(content).encode()), after)


def fine(after: float = 0.0) -> Step:
    return replying({"id": "pojos"}, after=after)


def failing(after: float = 0.0, *, status: int = 503, retry_after: int | None = None) -> Step:
    return replying({}, after=after, status=status, retry_after=retry_after)


HANGING = fine(1e9)


class Attempt(Promise[Reply]):
    """One that was made."""

    def __init__(self, loop: asyncio.AbstractEventLoop, instance: Instance, request: Request, until: float) -> None:
        super().__init__(loop, self._given_up)
        self.instance, self.request, self.at, self.until = instance, request, loop.time(), until
        self.given_up = False

    @property
    def told(self) -> int:
        """How many milliseconds the service was told it has."""
        return int(header(self.request.headers, b"x-request-timeout-ms") or "-1")

    def end(self, outcome: Reply | GatewayError) -> None:
        if isinstance(outcome, GatewayError):
            self.break_(outcome.copy())
        else:
            self.keep(outcome)

    def _given_up(self) -> None:
        self.given_up = True


class Stream:
    """A reply whose body breaks where it is read."""

    def __init__(self, reply: Reply) -> None:
        self.status, self.headers = reply.status, reply.headers
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{"
        raise Unreachable("shop", "the connection broke")

    async def close(self) -> None:
        self.closed = True


class ScriptedWire:
    """Attempts end as ``script`` has it, one step each, the last one again and again; or as a function of them says.

    Where that says nothing, the attempt waits for the test to ``end`` it, and for its timeout.
    """

    def __init__(self, *script: Step, play: Callable[[Attempt], Step | None] | None = None) -> None:
        self._script = list(script)
        self._play = play or self._next
        self.attempts: list[Attempt] = []
        self.streams: list[Stream] = []
        self.retired: list[Instance] = []

    @property
    def under_way(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if not attempt.done]

    @property
    def targets(self) -> list[str]:
        return [attempt.request.target for attempt in self.attempts]

    @property
    def times(self) -> list[float]:
        return [attempt.at for attempt in self.attempts]

    def send(self, instance: Instance, request: Request, *, until: float, max_body: int) -> Awaitable[Reply]:
        loop = asyncio.get_running_loop()
        attempt = Attempt(loop, instance, request, until)
        self.attempts.append(attempt)
        step = self._play(attempt)
        late = Step(TimedOut(instance.upstream, "no whole reply in time"), until - loop.time())
        if step is None or step.after > late.after:
            step = late
        if step.after > 0:
            loop.call_later(step.after, attempt.end, step.outcome)
        else:
            attempt.end(step.outcome)
        return attempt

    async def stream(
        self, instance: Instance, request: Request, *, until: float, body_until: float | None = None, max_body: int
    ) -> ReplyStream:
        stream = Stream(await self.send(instance, request, until=until, max_body=max_body))
        self.streams.append(stream)
        return stream

    def connections(self, instance: Instance) -> None:
        """See ``Wire.connections``."""

    def retire(self, instance: Instance) -> None:
        """See ``Wire.retire``; nothing is kept open."""
        self.retired.append(instance)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _next(self, _: Attempt) -> Step:
        return self._script.pop(0) if len(self._script) > 1 else self._script[0]


def shop(
    wire: Any, *, client: type[Shop] = Shop, source: Source | None = None, **settings: Any
) -> tuple[Shop, Upstream]:
    """A client of the shop, which has two instances, or those that ``source`` says, and its upstream."""
    where = {"discover": "dns:http://shop.test"} if source else {"instances": ["http://a.test", "http://b.test"]}
    found = UpstreamSettings(**{**where, **settings})
    upstream = Upstream("shop", found, wire, agent="bff-test/1", source=source)
    return client(upstream), upstream


def now() -> float:
    return asyncio.get_running_loop().time()


def request(seconds: float = 2.0, *, principal: str | None = None) -> RequestContext:
    """A request that has this long from now on."""
    return RequestContext("r", now(), now() + seconds, principal=principal)


async def ask(call: Call[T], context: RequestContext | None = None) -> T:
    """Make a call for a request; what a task of its own is made of."""
    if context is not None:
        enter(context)
    return await call


async def turns(number: int = 5) -> None:
    """Let the loop turn, without any time passing."""
    for _ in range(number):
        await asyncio.sleep(0)


def well_known(upstream: Upstream, seconds: float, *, answers: int = 20) -> None:
    """Let the upstream have answered so often of late, after so long."""
    for _ in range(answers):
        upstream.latency.record(seconds, now())


class TurningLoop(VirtualTimeLoop):
    """Counts its turns, and does something before one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self.struck = -1
        self.strike: Callable[[], object] = lambda: None
        self.complaints: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.complaints.append(context))

    def _run_once(self) -> None:
        self.turns += 1
        if self.turns == self.struck:
            self.strike()
        super()._run_once()  # type: ignore[misc]
