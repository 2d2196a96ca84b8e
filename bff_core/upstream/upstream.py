"""One service that a gateway calls, and the life of a call to it."""

import asyncio
from typing import Final, TypeVar

from bff_core.context import RequestContext
from bff_core.errors import DeadlinePassed, GatewayError, TimedOut
from bff_core.settings import UpstreamSettings
from bff_core.upstream.balance import RoundRobin
from bff_core.upstream.call import Call
from bff_core.upstream.tally import Tally
from bff_core.upstream.verdict import Verdict, judge
from bff_core.wire import Instance, Request, Wire
from bff_core.wire.header_lines import HeaderLines

__all__ = ["Upstream"]

T = TypeVar("T")

_OURS: Final = Verdict.OURS
_SUCCESS: Final = Verdict.SUCCESS
_HASTY: Final = 0.1  # seconds
_TICK: Final = 0.001  # seconds: what upstreams are told in


class Upstream:
    """Answers calls from one service. ``agent`` tells the service which gateway asks."""

    def __init__(self, name: str, settings: UpstreamSettings, wire: Wire, *, agent: str) -> None:
        self.name = name
        self.settings = settings
        self.balancer = RoundRobin([Instance.parse(name, url) for url in settings.instances])
        self.tally = Tally()
        self._wire, self._timeout, self._max_reply = wire, settings.timeout, settings.max_reply
        self._always = HeaderLines.of((b"user-agent", agent.encode("ascii")), (b"accept", b"application/json")).encoded

    async def answer(self, call: Call[T], context: RequestContext, deadline: float) -> T:
        """Look, admit, pick, attempt, record, and perhaps again, for the request ``context`` before ``deadline``.

        Of these steps a deadline admits, one instance after the other is picked, and nothing is attempted twice.
        """
        clock = asyncio.get_running_loop().time
        start = clock()
        # look: a fresh answer in the cache, or an equal call in flight to join, come in here
        if deadline <= start:
            raise DeadlinePassed(f"{self.name}: no time left to call {call.endpoint.template.text}")
        # admit: bulkhead, then circuit (last, because it may hand out the only probe)
        instance = self.balancer.pick()
        own = start + self._timeout
        until = min(deadline, own)
        verdict, failure = _OURS, None  # until something better, or worse, is learnt
        self.tally.enter()
        try:
            request = self._request(call, context, left=until - start)
            reply = await call.endpoint.attempt(
                self._wire, instance, request, until=until, deadline=deadline, max_body=self._max_reply
            )
            answer = call.endpoint.read(instance, reply)
            verdict = _SUCCESS
            return answer
        except GatewayError as error:
            stopped = isinstance(error, TimedOut) and until < own
            verdict, failure = self._stopped(clock() - start) if stopped else judge(error), error
            raise  # again: a retry budget and a pause come in here, where verdict.repeatable and the method is safe
        except asyncio.CancelledError:
            verdict = self._stopped(clock() - start)
            raise
        finally:  # success, failure, a bug of ours and cancellation alike
            self.tally.leave(verdict, failure)
            del failure  # or it keeps its traceback, and that this frame, until the collector comes

    def _stopped(self, ran: float) -> Verdict:
        """An attempt was stopped from above: a hanging upstream has failed, and a hasty client proves nothing."""
        return Verdict.FAILURE if ran > max(_HASTY, self._timeout / 2) else Verdict.OURS

    def _request(self, call: Call[T], context: RequestContext, *, left: float) -> Request:
        told = context.told
        if told is None:
            told = _tell(context)
        # relative, because clocks differ
        lines = self._always + told.encoded + b"x-request-timeout-ms: %d\r\n" % (left * 1000 if left > _TICK else 1)
        if call.headers:
            lines += HeaderLines.of(*call.headers).encoded
        return Request(call.endpoint.method, call.target, HeaderLines(lines))


def _tell(context: RequestContext) -> HeaderLines:
    """What every upstream is told of a request, whoever it is."""
    told = context.told = HeaderLines.of((b"x-request-id", context.request_id.encode("ascii")))
    return told
