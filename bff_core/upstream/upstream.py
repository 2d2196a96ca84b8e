"""One service that a gateway calls, and the life of a call to it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from bff_core.context import RequestContext
from bff_core.discovery import Member, Source, Watch, source_of
from bff_core.errors import GatewayError
from bff_core.moments import Moments
from bff_core.upstream.balance import Balancer
from bff_core.upstream.budget import RetryBudget
from bff_core.upstream.bulk import ALONE
from bff_core.upstream.bulkhead import bulkhead
from bff_core.upstream.call import Call
from bff_core.upstream.checks import Checks
from bff_core.upstream.circuit import NO_CIRCUIT, Breaker, Circuit, State
from bff_core.upstream.flight import Flight, Passenger
from bff_core.upstream.hedge import Race
from bff_core.upstream.latency import Latency
from bff_core.upstream.relay import NO_RELAY, Relay
from bff_core.upstream.retry import Retries
from bff_core.upstream.standing import Standing
from bff_core.upstream.tally import Tally
from bff_core.upstream.verdict import Verdict, judge
from bff_core.upstream_settings import UpstreamSettings
from bff_core.wire import Request, Wire
from bff_core.wire.header_lines import HeaderLines

__all__ = ["Upstream"]

_log = logging.getLogger("bff.upstream")

T = TypeVar("T")

_SUCCESS: Final = Verdict.SUCCESS
_HASTY: Final = 0.1  # seconds
_TICK: Final = 0.001  # seconds: what upstreams are told in


class Upstream:
    """Answers calls from one service. ``agent`` tells the service which gateway asks, and ``zone`` is where that is.

    ``relay`` tells it who asks, in calls that do. ``source`` is where its instances are looked up: by default a list,
    that of the settings. What has to be asked, or is to be checked, is from ``start`` to ``close``.
    """

    def __init__(
        self,
        name: str,
        settings: UpstreamSettings,
        wire: Wire,
        *,
        agent: str,
        zone: str = "",
        source: Source | None = None,
        relay: Relay = NO_RELAY,
    ) -> None:
        self.name = name
        self.settings = settings
        found = source or source_of(name, settings)
        self.balancer = Balancer(name, settings.ejection, zone=zone, slow_start=settings.slow_start)
        self.balancer.update(found.known, 0.0)
        self._watch = Watch(name, found, self._learn)
        self._checks = Checks(settings.check, self.balancer, wire, agent) if settings.check else None
        self._errands: list[asyncio.Task[None]] = []
        self.latency = Latency(name)
        self.bulkhead = bulkhead(name, settings.bulkhead)
        self.circuit: Breaker = (
            Circuit(name, settings.circuit, self._circuit_changed) if settings.circuit.enabled else NO_CIRCUIT
        )
        self.budget = RetryBudget(settings.retry.budget, settings.retry.budget_floor)
        self.tally = Tally()
        self._wire, self._timeout, self._max_reply = wire, settings.timeout, settings.max_reply
        self._always = HeaderLines.of((b"user-agent", agent.encode("ascii")), (b"accept", b"application/json")).encoded
        self._coalesce, self._hedge = settings.coalesce, settings.hedge.enabled
        self._relay = relay
        self._in_the_air: dict[Hashable, Flight[Any]] = {}
        self._moments: Moments | None = None

    async def start(self) -> None:
        """Begin to look for instances, and to check them."""
        self._errands = [asyncio.create_task(self._watch.run(), name=f"instances of {self.name}")]
        if self._checks is not None:
            self._errands.append(asyncio.create_task(self._checks.run(), name=f"checks of {self.name}"))
        for errand in self._errands:
            errand.add_done_callback(_log_bug)

    async def found(self) -> None:
        """Wait until the source of its instances has answered, or has failed to."""
        await self._watch.answered.wait()

    async def close(self) -> None:
        """End that."""
        for errand in self._errands:
            errand.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)

    def fly(
        self, call: Call[T], context: RequestContext, until: float, passenger: Passenger, clock: Callable[[], float]
    ) -> Flight[T]:
        """Make a call, or board an equal one. See ``Call.fly``."""
        endpoint = call.endpoint
        flight: Flight[T]
        if endpoint.shared and self._coalesce:
            key = (endpoint, call.target, call.headers, _who(call, context))
            equal = self._in_the_air.get(key)
            if equal is not None:
                equal.board(passenger, until)
                self.tally.joined += 1
                return equal
            flight = Flight(passenger, until, clock, self._in_the_air, key)
        else:
            flight = Flight(passenger, until, clock)
        if call.gathering is not None:
            flight.start(self._gathered(call, context, flight))
        else:
            flight.start(self._by_itself(call, context, flight))
        return flight

    def moments(self, loop: asyncio.AbstractEventLoop) -> Moments:
        """Those of this loop."""
        if self._moments is None or self._moments.loop is not loop:
            self._moments = Moments(loop)
        return self._moments

    def facts(self) -> dict[str, Any]:
        """How it is called, and how that goes: for operators, and for telemetry to read. Seconds, and numbers."""
        now = asyncio.get_running_loop().time()
        return {
            "instances": self.balancer.facts(now, self._wire.connections),
            "panic": self.balancer.panic,
            "source": {"of": str(self.settings.discover or "static"), **self._watch.facts()},
            "timeout": self.settings.timeout,
            "in_flight": self.bulkhead.in_flight,
            "limit": self.bulkhead.limit,
            "circuit": self.circuit.state.value,
            "circuit_opened": self.circuit.opened,
            "p50": _rounded(self.latency.p50(now)),
            "p95": _rounded(self.latency.p95(now)),
            "attempts": self.tally.counts(),
            "retried": self.tally.retried,
            "hedged": self.tally.hedged,
            "joined": self.tally.joined,
            "refused": dict(self.tally.refused),
            "retries_left": self.budget.left(now),
            "retries_refused": self.budget.refused,
            "last_failure": self.tally.last_failure,
            "last_failure_at": self.tally.last_failure_at,
        }

    async def _life(self, call: Call[T], context: RequestContext, flight: Flight[T], *, once: bool = False) -> T:
        """Admit, pick, send, read, record, and perhaps again, unless ``once``.

        An equal call in flight was joined before this, because it has a life already.
        """
        clock = flight.clock
        endpoint = call.endpoint
        retries: Retries | None = None
        request: Request | None = None
        start = clock()
        if not once:
            self.budget.called(start)
        probe = self._admit(flight.until - start, start)
        lasting = not endpoint.reading
        while True:
            standing: Standing | None = None
            try:
                standing = self.balancer.pick(start, flight.tried)
                flight.tried = (*flight.tried, standing)
                instance = standing.instance
                until = start + self._timeout
                request = self._request(call, context, min(flight.until, until) - start)
                if lasting:
                    flight.lasting = (*flight.lasting, request)
                reply = await endpoint.attempt(self._wire, instance, request, until, flight.until, self._max_reply)
                answer = endpoint.read(instance, reply)
            except BaseException as error:  # a bug of ours and cancellation too
                now = clock()
                if lasting:
                    flight.lasting = tuple(other for other in flight.lasting if other is not request)
                verdict = self._failed(error, standing, start, now, probe=probe)
                # a cancellation may count as a failure, and is never one to repeat
                if once or not isinstance(error, GatewayError) or not self._worth_repeating(call, flight, verdict):
                    raise
                retries = retries or Retries(self.settings.retry, self.budget)
                again = await retries.again(left=flight.until - now, retry_after=error.retry_after)
                if not again or flight.deserted:  # by all, and another attempt, which was sent, has kept it from ending
                    raise
                start = clock()
                try:
                    probe = self._admit(flight.until - start, start)
                except GatewayError:
                    raise error from None  # which tells more than that we refuse to see it again
                self.tally.retried += 1
            else:
                self._answered(standing, start, clock(), probe=probe)
                return answer

    def _admit(self, left: float, now: float) -> bool:
        """Let an attempt in that has ``left`` seconds, and say whether it is the circuit's probe."""
        try:
            self.latency.admit(left, now)
            self.bulkhead.admit()
            probe = self.circuit.admit(now)  # last, because it may hand out the only one
        except GatewayError as refusal:
            self.tally.refuse(refusal.reason)
            raise
        self.bulkhead.enter()
        return probe

    def _answered(self, standing: Standing, start: float, now: float, *, probe: bool) -> None:
        """An attempt that was let in was answered, told to everyone who learns from it."""
        ran = now - start
        self.tally.succeeded += 1
        self.latency.record(ran, now)
        standing.answered(ran, now)
        self.bulkhead.answered(ran)
        self._ended(_SUCCESS, ran, now, probe=probe)

    def _failed(
        self, error: BaseException, standing: Standing | None, start: float, now: float, *, probe: bool
    ) -> Verdict:
        """It has failed, or was stopped; or the answer is that there is nothing, which is one."""
        ran = now - start
        verdict = self._stopped(ran, now) if isinstance(error, asyncio.CancelledError) else judge(error)
        if verdict is _SUCCESS and standing is not None:
            self._answered(standing, start, now, probe=probe)
            return verdict
        self.tally.record(verdict, error)
        if standing is not None:
            asked_for = error.retry_after if isinstance(error, GatewayError) else None
            self.balancer.failed(standing, verdict, ran, now, asked_for)
        self._ended(verdict, ran, now, probe=probe)
        return verdict

    def _ended(self, verdict: Verdict, ran: float, now: float, *, probe: bool) -> None:
        self.bulkhead.leave()
        self.circuit.record(verdict, ran, now, probe=probe)

    async def _gathered(self, call: Call[T], context: RequestContext, flight: Flight[T]) -> T:
        """Answered together with others, where there are others."""
        assert call.gathering is not None
        gathering, one = call.gathering
        found: Any = await gathering.seat(one, context, flight, _who(call, context))
        if found is not ALONE:
            return found  # type: ignore[no-any-return]  # its own kind of thing
        return await self._by_itself(call, context, flight)

    def _by_itself(self, call: Call[T], context: RequestContext, flight: Flight[T]) -> Coroutine[Any, Any, T]:
        endpoint = call.endpoint
        hedged = (endpoint.hedged or self._hedge) and endpoint.safe
        return (self._hedged if hedged else self._life)(call, context, flight)

    async def _hedged(self, call: Call[T], context: RequestContext, flight: Flight[T]) -> T:
        """One life, and a second attempt beside it when it takes longer than 95 % of the answers of late."""
        p95 = self.latency.p95(flight.clock())
        if p95 is None:
            return await self._life(call, context, flight)
        first, second = self._life(call, context, flight), partial(self._life, call, context, flight, once=True)
        afford, outrun = partial(self._can_hedge, flight), partial(self._outrun, flight, flight.clock())
        return await Race(first, second, max(p95, self.settings.hedge.soonest), afford, outrun)

    def _can_hedge(self, flight: Flight[Any]) -> bool:
        now = flight.clock()
        if (
            flight.deserted
            or self.circuit.state is not State.CLOSED
            or self.bulkhead.half_full
            or not self.latency.allows(flight.until - now, now)
        ):
            return False
        if not self.budget.withdraw_evenly(now):
            return False
        self.tally.hedged += 1
        return True

    def _outrun(self, flight: Flight[Any], start: float) -> None:
        """The second attempt has won. That the first took longer is known, and must not be forgotten: a p95 of those
        alone that were not given up is too low, and more is hedged, and given up, each time.
        """
        now = flight.clock()
        self.latency.record(now - start, now)

    def _worth_repeating(self, call: Call[Any], flight: Flight[Any], verdict: Verdict) -> bool:
        """Safe and useful. Whether it can be afforded is seen last."""
        return (
            verdict.repeatable
            and call.repeatable
            and self.settings.retry.attempts > 0
            and self.circuit.state is State.CLOSED  # a probe proves enough, and an open circuit refuses
            and not flight.deserted
        )

    def _stopped(self, ran: float, now: float) -> Verdict:
        """An attempt was stopped from above: a hanging upstream has failed, and a hasty client proves nothing."""
        usual = self.latency.last_p99(now)
        return Verdict.FAILURE if ran > max(_HASTY, self._timeout / 2 if usual is None else usual) else Verdict.OURS

    def _request(self, call: Call[T], context: RequestContext, left: float) -> Request:
        told = context.told
        if told is None:
            told = _tell(context)
        # relative, because clocks differ
        lines = self._always + told.encoded + b"x-request-timeout-ms: %d\r\n" % (left * 1000 if left > _TICK else 1)
        if call.headers:
            lines += HeaderLines.of(*call.headers).encoded
        if call.endpoint.tells and context.principal is not None and not _speaks_for_itself(call):
            lines += self._relay.lines(context.principal)
        return Request(call.endpoint.method, call.target, HeaderLines(lines), call.body)

    def _learn(self, members: Sequence[Member]) -> None:
        """These are its instances from now on."""
        now = asyncio.get_running_loop().time()
        for instance in self.balancer.update(members, now):
            self._wire.retire(instance)

    def _circuit_changed(self, state: State) -> None:
        level = logging.INFO if state is State.CLOSED else logging.WARNING
        _log.log(level, "%s: its circuit is %s; the last failure was: %s", self.name, state, self.tally.last_failure)


def _log_bug(errand: asyncio.Task[None]) -> None:
    if not errand.cancelled() and (bug := errand.exception()) is not None:
        _log.error("%s has ended by a bug", errand.get_name(), exc_info=bug)


def _tell(context: RequestContext) -> HeaderLines:
    """What every upstream is told of a request, whoever it is."""
    told = context.told = HeaderLines.of((b"x-request-id", context.request_id.encode("ascii")), *context.trace)
    return told


def _who(call: Call[Any], context: RequestContext) -> Hashable:
    """Whose answer it is: nobody's in particular, unless the upstream is told who asks."""
    return context.principal if call.endpoint.tells else None


def _speaks_for_itself(call: Call[Any]) -> bool:
    """It says by itself who asks, and two would be nobody (RFC 9110, 5.3)."""
    return any(name == b"authorization" for name, _ in call.headers)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
