"""All policies of one upstream at once, whatever happens in whatever order."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bff_core.errors import GatewayError, StaleConnection, Throttled, Unreachable
from bff_core.upstream import Call
from bff_core.upstream.circuit import State
from bff_core.wire import Reply, header
from tests.bff_core.scripted import (
    Attempt,
    Book,
    ScriptedWire,
    Shop,
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

CALLS: dict[str, Callable[[Shop, str], Call[Any]]] = {
    "GET": lambda client, book: client.book(book),
    "GET hedged": lambda client, book: client.book(book, hedged=True),
    "GET in bulk": lambda client, book: client.one(book),
    "GET as a download": lambda client, _: client.picture(),
    "POST": lambda client, _: client.buy(),
    "POST with a key": lambda client, _: client.buy("key"),
    "PUT": lambda client, _: client.shelve(),
    "DELETE": lambda client, _: client.discard(),
}


def found(attempt: Attempt) -> Reply | GatewayError:
    """What a service says that has every book."""
    path, _, query = attempt.request.target.partition("?")
    books = [{"id": book} for _, book in parse_qsl(query)]
    return replying(books or {"id": path.rpartition("/")[2]}).outcome


ENDS: dict[str, Callable[[Attempt], Reply | GatewayError]] = {
    "found": found,
    "nothing there": lambda _: replying([]).outcome,
    "not found": lambda _: failing(status=404).outcome,
    "not valid": lambda _: failing(status=422).outcome,
    "failed": lambda _: failing(status=500).outcome,
    "unavailable": lambda _: failing().outcome,
    "unavailable for a while": lambda _: failing(retry_after=1).outcome,
    "throttled": lambda _: failing(status=429).outcome,
    "throttled for a while": lambda _: Throttled("shop", 429, 0.3),
    "broken": lambda _: Unreachable("shop", "reset"),
    "stale": lambda _: StaleConnection("shop", "closed"),
}

PAUSES = st.sampled_from([0.001, 0.02, 0.1, 0.3, 0.5, 1.0, 6.1, 11.0])
TURNS = st.integers(0, 4)


class Together(RuleBasedStateMachine):
    """Callers come and leave, attempts end or hang, and time passes."""

    @initialize(
        limit=st.integers(1, 6),
        coalesce=st.booleans(),
        hedge=st.booleans(),
        known=st.booleans(),
        floor=st.integers(0, 3),
    )
    def begin(self, limit: int, coalesce: bool, hedge: bool, known: bool, floor: int) -> None:
        self.runner = asyncio.Runner(loop_factory=TurningLoop)
        self.wire = ScriptedWire(play=self._sent)
        self.client, self.upstream = shop(
            self.wire,
            bulkhead={"limit": limit},
            circuit={"attempts": 3},
            coalesce=coalesce,
            hedge={"enabled": hedge},
            retry={"budget_floor": floor},
        )
        self.tasks: list[asyncio.Task[Any]] = []
        self.probes: list[Attempt] = []
        self.calls = 0
        if known:
            self._run(self._be_known())

    async def _be_known(self) -> None:
        well_known(self.upstream, 0.05)

    def _sent(self, attempt: Attempt) -> None:
        assert self.upstream.circuit.state is not State.OPEN
        if self.upstream.circuit.state is State.HALF_OPEN:
            assert all(probe.done for probe in self.probes)
            self.probes.append(attempt)

    def _run(self, what: Coroutine[Any, Any, Any]) -> None:
        self.runner.run(what)

    @rule(
        how=st.sampled_from(sorted(CALLS)),
        books=st.lists(st.sampled_from("abc"), min_size=1, max_size=4),
        seconds=st.sampled_from([0.02, 0.2, 0.6, 2.0]),
        then=TURNS,
    )
    def come(self, how: str, books: list[str], seconds: float, then: int) -> None:
        async def come() -> None:
            for book in books:
                self.calls += 1
                context = request(seconds)
                context.request_id = f"{self.calls}: {how}"
                self.tasks.append(asyncio.create_task(ask(CALLS[how](self.client, book), context)))
            await turns(then)

        self._run(come())

    @precondition(lambda self: self.tasks)
    @rule(which=st.lists(st.integers(0, 100), min_size=1, max_size=3), then=TURNS)
    def leave(self, which: list[int], then: int) -> None:
        async def leave() -> None:
            for number in which:
                self.tasks[number % len(self.tasks)].cancel()
            await turns(then)

        self._run(leave())

    @precondition(lambda self: self.wire.under_way)
    @rule(which=st.integers(0, 100), how=st.sampled_from(sorted(ENDS)), then=TURNS)
    def end(self, which: int, how: str, then: int) -> None:
        async def end() -> None:
            attempt = self.wire.under_way[which % len(self.wire.under_way)]
            attempt.end(ENDS[how](attempt))
            await turns(then)

        self._run(end())

    @precondition(lambda self: self.wire.under_way)
    @rule(how=st.sampled_from(["found", "unavailable"]), then=TURNS)
    def all_end(self, how: str, then: int) -> None:
        async def end() -> None:
            for attempt in self.wire.under_way:
                attempt.end(ENDS[how](attempt))
            await turns(then)

        self._run(end())

    @rule(seconds=PAUSES)
    def pass_time(self, seconds: float) -> None:
        self._run(asyncio.sleep(seconds))

    @invariant()
    def a_permit_is_with_each_attempt_and_with_nobody_else(self) -> None:
        assert self.upstream.bulkhead.in_flight == len(self.wire.under_way) <= self.upstream.bulkhead.limit

    @invariant()
    def every_attempt_that_ended_has_counted(self) -> None:
        ended = len(self.wire.attempts) - len(self.wire.under_way)
        assert sum(self.upstream.tally.counts().values()) == ended

    @invariant()
    def whatever_is_one_more_has_been_paid(self) -> None:
        tally = self.upstream.tally
        assert tally.retried + tally.hedged <= self.upstream.budget.spent
        assert len(self.wire.attempts) <= self.calls + tally.retried + tally.hedged + self._bulk_calls()

    def _bulk_calls(self) -> int:
        return sum("?" in target for target in self.wire.targets)

    @invariant()
    def what_may_not_be_done_twice_is_not(self) -> None:
        sent = Counter(header(attempt.request.headers, b"x-request-id") or "" for attempt in self.wire.attempts)
        assert all(number == 1 for name, number in sent.items() if name.endswith(": POST"))
        assert all(number <= 3 for name, number in sent.items() if name.endswith((": PUT", ": DELETE", "with a key")))

    @invariant()
    def nothing_is_in_the_air_that_has_landed_or_that_nobody_waits_for(self) -> None:
        for flight in self.upstream._in_the_air.values():
            assert not flight.done
            assert not flight.deserted

    @invariant()
    def nothing_is_read_for_nobody(self) -> None:
        if all(task.done() for task in self.tasks):
            assert not any(attempt.request.method == "GET" for attempt in self.wire.under_way)

    def teardown(self) -> None:
        """Everyone leaves; nothing is left, and nothing is stuck."""
        if not hasattr(self, "runner"):
            return
        try:
            self._run(self._end())
        finally:
            self.runner.close()

    async def _end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await turns()
        assert {attempt.request.method for attempt in self.wire.under_way} <= {"POST", "PUT", "DELETE"}
        for end in await asyncio.gather(*self.tasks, return_exceptions=True):
            assert isinstance(end, Exception) <= isinstance(end, GatewayError), end
        await asyncio.sleep(0.6)
        assert self.upstream.bulkhead.in_flight == 0
        assert not self.upstream._in_the_air
        assert asyncio.all_tasks() == {asyncio.current_task()}
        self.a_permit_is_with_each_attempt_and_with_nobody_else()
        await self._see_that_it_is_not_stuck()
        loop = self.runner.get_loop()
        assert isinstance(loop, TurningLoop)
        assert not loop.complaints

    async def _see_that_it_is_not_stuck(self) -> None:
        await asyncio.sleep(16)  # for an open circuit, and for what is known of the latency
        self.wire._play = lambda _: fine()
        began = now()
        for _ in range(3):
            assert await ask(self.client.book("afterwards"), request(0.5)) == Book(id="pojos")
        assert (now(), self.upstream.circuit.state) == (began, State.CLOSED)


TestTogether = Together.TestCase
TestTogether.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
