"""Whoever leaves, and whenever, nothing is left behind.

Each story is told again and again, and each time someone leaves one turn of the loop later.
"""

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Iterable
from itertools import count
from typing import Any

import pytest

from bff_core.composition import Composition
from bff_core.errors import GatewayError, TooLate
from bff_core.testing import SimulatedInternet
from bff_core.testing.internet import ASGIApp
from bff_core.upstream import Call, Upstream, Verdict
from bff_core.upstream.circuit import State
from bff_core.upstream_settings import CircuitSettings, HedgeSettings, RetrySettings
from tests.bff_core.scripted import (
    HANGING,
    Attempt,
    Book,
    ScriptedWire,
    Shop,
    Step,
    TurningLoop,
    ask,
    failing,
    fine,
    now,
    replying,
    request,
    shop,
    turns,
    well_known,
)

Work = Callable[[Shop], Awaitable[Any]]

GENEROUS = RetrySettings(budget=1.0, budget_floor=1000)
UNSAFE = frozenset({"POST", "PUT", "DELETE"})


class Story:
    """Some callers, and an upstream that answers as the wire has it. It ends within two seconds."""

    def __init__(
        self, wire: Callable[[], Any], *callers: Work, known: float | None = None, opened: bool = False, **settings: Any
    ) -> None:
        self._wire, self.callers, self._known, self._opened = wire, callers, known, opened
        self._settings = {"retry": GENEROUS, **settings}

    def tell(self, loop: TurningLoop, leaving: Iterable[int], turn: int) -> bool:
        """With those who leave before this turn, counted from the first call; false where the story is over by then."""
        self._loop = loop
        over_after = loop.run_until_complete(self._play(leaving, turn))
        assert not loop.complaints
        return turn <= over_after

    async def _play(self, leaving: Iterable[int], turn: int) -> int:
        random.seed(0)  # so that chance takes the same turns each time
        wire = self._wire()
        client, upstream = shop(wire, **self._settings)
        if self._known is not None:
            well_known(upstream, self._known)
        if self._opened:
            await self._open(client, upstream)
        tasks = [asyncio.create_task(self._call(caller, client)) for caller in self.callers]
        self._loop.turns, self._loop.struck = 0, turn
        self._loop.strike = lambda: [tasks[number].cancel() for number in leaving]
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        over_after = self._loop.turns
        for number, end in enumerate(ends):
            assert isinstance(end, Exception) <= isinstance(end, GatewayError), end
            assert number in leaving or not isinstance(end, asyncio.CancelledError)
        await self._see_that_nothing_is_left(wire, client, upstream)
        return over_after

    async def _call(self, caller: Work, client: Shop) -> Any:
        return await caller(client)

    async def _open(self, client: Shop, upstream: Upstream) -> None:
        for _ in range(20):
            upstream.circuit.record(Verdict.FAILURE, 0.1, now(), probe=upstream.circuit.admit(now()))
        assert upstream.circuit.state is State.OPEN
        await asyncio.sleep(6.1)

    async def _see_that_nothing_is_left(self, wire: Any, client: Shop, upstream: Upstream) -> None:
        await turns()
        assert not upstream._in_the_air
        if isinstance(wire, ScriptedWire):
            assert {attempt.request.method for attempt in wire.under_way} <= UNSAFE
        await asyncio.sleep(2.0)  # for what may have changed something
        assert upstream.bulkhead.in_flight == 0
        assert [found["in_flight"] for found in upstream.balancer.facts(now())] == [0, 0]
        assert asyncio.all_tasks() == {asyncio.current_task()}
        sent = len(_sent(wire))
        await asyncio.sleep(6.1)
        assert len(_sent(wire)) == sent
        if isinstance(wire, ScriptedWire):  # the other may not have come to it
            assert all(stream.closed for stream in wire.streams)
            assert sum(upstream.tally.counts().values()) == sent
        await self._see_that_it_is_not_stuck(wire, client, upstream)

    async def _see_that_it_is_not_stuck(self, wire: Any, client: Shop, upstream: Upstream) -> None:
        if isinstance(wire, ScriptedWire):
            wire._play = lambda _: fine()
        else:
            wire.hosts = dict.fromkeys(wire.hosts, saying(b'{"id": "pojos"}'))
        for _ in range(3):
            assert await ask(client.book("afterwards")) == Book(id="pojos")
        assert upstream.circuit.state is State.CLOSED


def _sent(wire: Any) -> list[Any]:
    return wire.attempts if isinstance(wire, ScriptedWire) else wire.requests


def saying(body: bytes, *, status: int = 200, after: float = 0.0) -> ASGIApp:
    """An app that takes its time."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(after)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await asyncio.sleep(after)
        await send({"type": "http.response.body", "body": body})

    return app


def scripted(*script: Step) -> Callable[[], ScriptedWire]:
    return lambda: ScriptedWire(*script)


def played(play: Callable[[Attempt], Step]) -> Callable[[], ScriptedWire]:
    return lambda: ScriptedWire(play=play)


def simulated(a: ASGIApp, b: ASGIApp) -> Callable[[], SimulatedInternet]:
    return lambda: SimulatedInternet({"a.test": a, "b.test": b})


def in_bulk(step: Step, alone: Step = fine(0.1)) -> Callable[[], ScriptedWire]:  # noqa: B008  it is not changed
    return played(lambda attempt: step if "?" in attempt.request.target else alone)


def book(client: Shop) -> Call[Book]:
    return client.book()


def slow_book(client: Shop) -> Awaitable[Book]:
    return ask(client.book(), request(0.25))


def buy(client: Shop) -> Call[Book]:
    return client.buy("key")


def shelve(client: Shop) -> Call[Book]:
    return client.shelve()


def one(name: str) -> Work:
    return lambda client: client.one(name)


async def picture(client: Shop) -> None:
    stream = await client.picture()
    await stream.close()


async def page(client: Shop) -> list[Any]:
    """A page of everything, which has a second."""

    async def after_that() -> Book:
        first = await part
        return await client.one(f"{first.id}-2")

    async with Composition(request(1.0)) as page:
        part = page.required("book", client.book())
        parts = [
            page.optional("again", client.book()),
            page.optional("a", client.one("a")),
            page.optional("b", client.one("b"), within=0.2),
            page.optional("after", after_that()),
            page.optional("change", client.shelve(), within=0.05),
        ]
    return [part.value for part in parts]


async def late_page(client: Shop) -> None:
    with pytest.raises(TooLate):
        async with Composition(request(0.2)) as page:
            for number in range(3):
                page.required(f"p{number}", client.book(f"b{number % 2}"))


HEDGED = {"hedge": HedgeSettings(enabled=True), "known": 0.05}
BOOKS = replying([{"id": "a"}, {"id": "b"}, {"id": "c"}], after=0.1)
SOME = (one("a"), one("b"), one("c"))

STORIES = {
    "an answer": Story(scripted(fine(0.1)), book),
    "an answer at once": Story(scripted(fine()), book),
    "tried again": Story(scripted(failing(0.1), failing(0.1), fine(0.1)), book),
    "tried again at once": Story(scripted(failing(), failing(), fine()), book),
    "tried again in vain": Story(scripted(failing(0.01)), book),
    "a timeout": Story(scripted(HANGING), book),
    "a deadline": Story(scripted(HANGING), slow_book, slow_book),
    "asked to wait": Story(scripted(failing(0.1, status=429, retry_after=1), fine(0.1)), book),
    "changes": Story(scripted(failing(0.1), fine(0.1)), buy, shelve),
    "changes at once": Story(scripted(failing(), fine()), buy, shelve),
    "hedged": Story(scripted(HANGING, fine(0.05)), book, **HEDGED),
    "hedged, and the first is sooner": Story(scripted(fine(0.1), HANGING), book, **HEDGED),
    "hedged, and both fail": Story(
        scripted(failing(0.2), failing(0.05)), book, retry=RetrySettings(attempts=0), **HEDGED
    ),
    "hedged and tried again": Story(scripted(failing(0.04), HANGING, fine(0.1)), book, **HEDGED),
    "hedged and tried again in vain": Story(scripted(failing(0.08)), book, **HEDGED),
    "shared": Story(scripted(fine(0.1)), book, book, book),
    "shared and tried again": Story(scripted(failing(0.1), fine(0.1)), book, book, slow_book),
    "shared and hedged": Story(scripted(HANGING, fine(0.1)), book, book, **HEDGED),
    "in bulk": Story(in_bulk(BOOKS), *SOME),
    "in bulk, at once": Story(in_bulk(Step(BOOKS.outcome)), *SOME),
    "in bulk, and spoilt": Story(in_bulk(failing(0.1, status=400)), *SOME),
    "in bulk, and tried again in vain": Story(in_bulk(failing(0.05)), *SOME),
    "in bulk and hedged": Story(in_bulk(HANGING), *SOME, **HEDGED),
    "alone": Story(scripted(fine(0.1)), one("a")),
    "a probe": Story(scripted(fine(0.1)), book, slow_book, buy, opened=True, coalesce=False),
    "a probe at once": Story(scripted(fine()), book, buy, opened=True),
    "a probe that is throttled": Story(scripted(failing(0.1, status=429)), book, opened=True),
    "a probe that does not fit": Story(scripted(replying([], after=0.1)), book, opened=True),
    "a probe of a bulk": Story(in_bulk(BOOKS), *SOME, opened=True),
    "a download": Story(scripted(fine(0.1)), picture),
    "a download tried again": Story(scripted(failing(0.1), fine(0.1)), picture, picture),
    "pages": Story(played(lambda attempt: BOOKS if "?" in attempt.request.target else fine(0.1)), page, page),
    "late pages": Story(scripted(HANGING), late_page, late_page),
    "pages of what fails": Story(scripted(failing(0.03), fine(0.05)), page, page, circuit=CircuitSettings(attempts=3)),
    "over a network": Story(
        simulated(saying(b"", status=503, after=0.05), saying(b'{"id": "a"}', after=0.05)),
        *(book, buy, picture, one("a"), one("b")),
        **HEDGED,
    ),
    "over a network that hangs": Story(simulated(saying(b"", after=1e9), saying(b"", after=1e9)), book, page, **HEDGED),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_whoever_leaves_whenever_nothing_is_left_behind(story: Story) -> None:
    everyone = tuple(range(len(story.callers)))
    with asyncio.Runner(loop_factory=TurningLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, TurningLoop)
        for leaving in {everyone, everyone[:1], everyone[1:] or everyone}:
            for turn in count(0):
                if not story.tell(loop, leaving, turn):
                    break
    gc.collect()  # so that whatever would warn of not having been awaited does it here
