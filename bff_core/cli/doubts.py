"""Settings that are allowed and cannot be meant."""

from collections.abc import Iterator, Mapping
from math import inf, sqrt
from typing import Final

from bff_core.bearer_settings import is_trustworthy
from bff_core.cli.calls import Calls
from bff_core.cli.figures import duration, share
from bff_core.session_settings import SessionSettings
from bff_core.settings import GatewaySettings
from bff_core.upstream.outlier import COMPARED, Outliers
from bff_core.upstream_settings import UpstreamSettings, schemes
from bff_core.wire import http1, httpx

__all__ = ["doubts"]

_UNSEEN: Final = Calls()

Doubt = tuple[str, str]  # the key, and what is odd about it


def doubts(settings: GatewaySettings, calls: Mapping[str, Calls]) -> list[str]:
    """One line each, with its key. ``calls`` are those that the gateway's service clients make, by upstream."""
    found = [
        f"upstreams.{name}.{key}: {why}"
        for name, upstream in settings.upstreams.items()
        for key, why in _of(upstream, calls.get(name, _UNSEEN), settings.deadline, settings.zone)
    ]
    for table, vouching in (("bearer", settings.bearer), ("session", settings.session)):
        if vouching is not None and _in_the_clear(vouching.called):
            found.append(f"{table}.upstream: is called over http, and whoever is on the way can vouch for anyone")
    if settings.session is not None:
        found += [f"session.{key}: {why}" for key, why in _session(settings.session)]
    return [*(f"{key}: {why}" for key, why in _zone(settings)), *found]


def _session(session: SessionSettings) -> Iterator[Doubt]:
    if session.idle >= session.absolute:
        idle, absolute = duration(session.idle), duration(session.absolute)
        yield "idle", f"{idle} is not below session.absolute, {absolute}, so that it never counts"


def _in_the_clear(called: UpstreamSettings) -> bool:
    if called.discover is not None:
        return "http" in schemes((), called.discover)
    return any(place.url.startswith("http") and not is_trustworthy(place.url) for place in called.instances)


def _zone(settings: GatewaySettings) -> Iterator[Doubt]:
    upstreams = settings.upstreams.values()
    named = [place.zone for upstream in upstreams for place in upstream.instances if place.zone]
    if settings.zone and not named and all(upstream.discover is None for upstream in upstreams):
        yield "zone", "is never read, because no instance says in which zone it is"


def _of(upstream: UpstreamSettings, calls: Calls, deadline: float, zone: str) -> Iterator[Doubt]:
    hedges = upstream.hedge.enabled or calls.hedged
    if upstream.timeout >= deadline:
        timeout, whole = duration(upstream.timeout), duration(deadline)
        yield "timeout", f"{timeout} is not below the deadline of {whole}, so that this timeout never counts"
    yield from _retry(upstream, deadline)
    yield from _budget(upstream, hedges=hedges)
    yield from _circuit(upstream)
    yield from _bulkhead(upstream)
    yield from _instances(upstream, zone)
    yield from _ejection(upstream)
    yield from _check(upstream)
    if hedges:
        yield from _hedge(upstream, calls)
    elif "soonest" in upstream.hedge.model_fields_set:
        yield "hedge.soonest", "is never read, because hedge.enabled is false and no call asks for a hedge"


def _retry(upstream: UpstreamSettings, deadline: float) -> Iterator[Doubt]:
    retry = upstream.retry
    if not retry.attempts:
        for key in sorted(retry.model_fields_set & {"first_pause", "longest_pause"}):
            yield f"retry.{key}", "is never read, because retry.attempts is 0"
        return
    first, longest = duration(retry.first_pause), duration(retry.longest_pause)
    reached = retry.first_pause * 2 ** (retry.attempts - 1)
    if retry.first_pause > retry.longest_pause:
        yield "retry.first_pause", f"{first} is above retry.longest_pause, {longest}, which every pause is cut to"
    if retry.longest_pause >= deadline:
        whole = duration(deadline)
        yield (
            "retry.longest_pause",
            f"{longest} is not below the deadline of {whole}: no call has time for such a pause",
        )
    elif "longest_pause" in retry.model_fields_set and reached < retry.longest_pause:
        last = f"from {first} on, the last of {retry.attempts} pauses is {duration(reached)}"
        yield "retry.longest_pause", f"{longest} is never reached: {last}"


def _budget(upstream: UpstreamSettings, *, hedges: bool) -> Iterator[Doubt]:
    retry = upstream.retry
    payers = [name for name, pays in (("retry", retry.attempts > 0), ("hedge", hedges)) if pays]
    if not payers:
        for key in sorted(retry.model_fields_set & {"budget", "budget_floor"}):
            yield f"retry.{key}", "is never read, because nothing is tried again and nothing is hedged"
    elif not retry.budget and not retry.budget_floor:
        yield "retry.budget", f"0, with a retry.budget_floor of 0: no {' and no '.join(payers)} can ever be paid for"


def _circuit(upstream: UpstreamSettings) -> Iterator[Doubt]:
    circuit = upstream.circuit
    if not circuit.enabled:
        for key in sorted(circuit.model_fields_set - {"enabled"}):
            yield f"circuit.{key}", "is never read, because circuit.enabled is false"
    elif circuit.slow is None:
        if "slow_share" in circuit.model_fields_set:
            yield "circuit.slow_share", "is never read, because circuit.slow is not set"
    elif circuit.slow >= upstream.timeout:
        slow, timeout = duration(circuit.slow), duration(upstream.timeout)
        yield "circuit.slow", f"{slow} is not below the timeout of {timeout}: what takes as long has failed by then"


def _bulkhead(upstream: UpstreamSettings) -> Iterator[Doubt]:
    bulkhead = upstream.bulkhead
    if not bulkhead.adaptive:
        for key in sorted(bulkhead.model_fields_set & {"least", "most"}):
            yield f"bulkhead.{key}", "is never read, because bulkhead.adaptive is false"
    key, limit = ("most", bulkhead.most) if bulkhead.adaptive else ("limit", bulkhead.limit)
    connections, whose = _connections(upstream)
    if limit > connections:
        yield f"bulkhead.{key}", f"{limit} is never reached: the wire has at most {connections} connections {whose}"


def _connections(upstream: UpstreamSettings) -> tuple[float, str]:
    if upstream.wire == "httpx":
        return httpx.CONNECTIONS, "to all the upstreams it carries"
    if upstream.discover is not None:
        return inf, "to as many instances as will be found"
    count = len(upstream.instances)
    return http1.CONNECTIONS * count, "to its one instance" if count == 1 else f"to its {count} instances"


def _instances(upstream: UpstreamSettings, zone: str) -> Iterator[Doubt]:
    if not zone and any(place.zone for place in upstream.instances):
        yield "instances", "zones are never read, because the gateway's own zone is not set"
    if _alone(upstream) and "weight" in upstream.instances[0].model_fields_set:
        yield "instances", "a weight is never read, because there is one instance"
    if upstream.discover is None and "slow_start" in upstream.model_fields_set:
        yield "slow_start", "is never read, because what is listed is there from the start, and nothing joins it"


def _ejection(upstream: UpstreamSettings) -> Iterator[Doubt]:
    ejection, count = upstream.ejection, len(upstream.instances)
    told = ejection.model_fields_set
    if _alone(upstream) or not ejection.share:
        why = "there is one instance, which is never left alone" if _alone(upstream) else "ejection.share is 0"
        for key in sorted(told if _alone(upstream) else told - {"share"}):
            yield f"ejection.{key}", f"is never read, because {why}"
        return
    if ejection.rest > ejection.longest:
        rest, longest = duration(ejection.rest), duration(ejection.longest)
        yield "ejection.rest", f"{rest} is above ejection.longest, {longest}, which every rest is cut to"
    if count and not Outliers(ejection).most(count):
        yield "ejection.share", f"{share(ejection.share)} of {count} instances is none: nothing is ever left alone"
    elif 0 < count < COMPARED:
        for key in sorted(told & {"calls", "deviations"}):
            yield f"ejection.{key}", f"is never read, because {count} instances are too few to compare"
    elif count and ejection.deviations >= (most := sqrt(count - 1)):  # by arithmetic, if all others never fail
        yield (
            "ejection.deviations",
            f"{ejection.deviations:g} is never reached: of {count}, none is more than {most:.3g} below the mean",
        )


def _check(upstream: UpstreamSettings) -> Iterator[Doubt]:
    check = upstream.check
    if check is None:
        return
    if _alone(upstream):
        yield "check", "there is one instance, which gets the calls whether it is well or not"
    if check.timeout > check.interval:
        timeout, interval = duration(check.timeout), duration(check.interval)
        yield "check.timeout", f"{timeout} is above check.interval, {interval}: who hangs is asked less often than that"


def _hedge(upstream: UpstreamSettings, calls: Calls) -> Iterator[Doubt]:
    if upstream.hedge.enabled and _alone(upstream):
        yield "hedge.enabled", "there is one instance, so that the second attempt waits where the first one does"
    if upstream.hedge.enabled and calls.unsafe_alone:
        yield "hedge.enabled", "no call of its service client is safe, and no other is ever hedged"
    if upstream.hedge.soonest >= upstream.timeout:
        soonest, timeout = duration(upstream.hedge.soonest), duration(upstream.timeout)
        yield "hedge.soonest", f"{soonest} is not below the timeout of {timeout}: the first attempt is over by then"
    if upstream.bulkhead.limit == 1 and not upstream.bulkhead.adaptive:
        yield "bulkhead.limit", "1 leaves no room for a hedge beside the attempt that it is for"


def _alone(upstream: UpstreamSettings) -> bool:
    """It has one instance, and never another."""
    return len(upstream.instances) == 1
