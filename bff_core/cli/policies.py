"""What the policies of an upstream come to, in words."""

from itertools import islice

from bff_core.cli.calls import Calls
from bff_core.cli.figures import duration, mebibytes, share
from bff_core.upstream_settings import (
    BulkheadSettings,
    CheckSettings,
    CircuitSettings,
    EjectionSettings,
    HedgeSettings,
    RetrySettings,
    UpstreamSettings,
    schemes,
)

__all__ = ["policies", "way"]


def policies(upstream: UpstreamSettings, calls: Calls) -> list[tuple[str, str]]:
    """Each with its name, in the order in which a call meets them."""
    return [
        ("coalesce", "equal calls in flight share one attempt" if upstream.coalesce else "off"),
        ("timeout", f"{duration(upstream.timeout)} for an attempt; a reply of at most {mebibytes(upstream.max_reply)}"),
        ("bulkhead", _bulkhead(upstream.bulkhead)),
        ("circuit", _circuit(upstream.circuit)),
        ("balance", _balance(upstream)),
        ("ejection", _ejection(upstream.ejection)),
        ("check", "off" if upstream.check is None else _check(upstream.check)),
        ("retry", _retry(upstream.retry)),
        ("hedge", _hedge(upstream.hedge, calls)),
        ("budget", _budget(upstream, calls)),
    ]


def way(upstream: UpstreamSettings) -> str:
    """How its instances are reached."""
    found: list[str] = [upstream.wire]
    if upstream.compressed:
        found.append("compressed")
    if "https" in schemes(upstream.instances, upstream.discover):
        undecided = upstream.discover is not None and upstream.discover.scheme is None
        found.append("TLS where their port says https" if undecided else "TLS")
    if tls := upstream.tls:
        found += [f"{key} {value}" for key, value in tls.model_dump(exclude_none=True).items()]
    return "\n".join(found)


def _bulkhead(settings: BulkheadSettings) -> str:
    if settings.adaptive:
        return f"{settings.limit} attempts at once to begin with, then {settings.least} to {settings.most} by latency"
    return f"{settings.limit} attempts at once"


def _circuit(settings: CircuitSettings) -> str:
    if not settings.enabled:
        return "off"
    slow = " "
    if settings.slow is not None:
        slow = f" or {share(settings.slow_share)} took {duration(settings.slow)},\n"
    return (
        f"opens when {share(settings.failures)} failed,{slow}of {settings.attempts} attempts or more in "
        f"{duration(settings.window)};\n"
        f"rests {duration(settings.rest)}, and closes after {settings.successes} good probes"
    )


def _balance(upstream: UpstreamSettings) -> str:
    if len({place.weight for place in upstream.instances}) > 1:
        return "the better of two instances that chance and weight choose"
    joins = "" if upstream.instances else f";\nwhat joins works up to its share in {duration(upstream.slow_start)}"
    return f"the better of two instances that chance chooses{joins}"


def _ejection(settings: EjectionSettings) -> str:
    if not settings.share:
        return "off"
    return (
        f"after {settings.failures} failures in a row, or {settings.deviations:g} deviations below the\n"
        f"success of all, of {settings.calls} calls; for {duration(settings.rest)} to {duration(settings.longest)};\n"
        f"at most {share(settings.share)} of all instances, and never the last"
    )


def _check(settings: CheckSettings) -> str:
    return (
        f"GET {settings.path} every {duration(settings.interval)}, answered in {duration(settings.timeout)};\n"
        f"unhealthy after {settings.unhealthy} failed, healthy after {settings.healthy} good"
    )


def _retry(settings: RetrySettings) -> str:
    if not settings.attempts:
        return "off"
    longest = [min(settings.first_pause * 2**turn, settings.longest_pause) for turn in range(settings.attempts)]
    pauses = [duration(pause) for pause in islice(longest, 3)] + ["..."] * (len(longest) > 3)
    return f"{settings.attempts} more, after pauses of up to {', '.join(pauses)}"


def _hedge(settings: HedgeSettings, calls: Calls) -> str:
    if not settings.enabled and not calls.hedged:
        return "off"
    which = "every safe call" if settings.enabled else "a call that asks for it"
    return f"{which}, after its p95, {duration(settings.soonest)} at least"


def _budget(upstream: UpstreamSettings, calls: Calls) -> str:
    if not upstream.retry.attempts and not upstream.hedge.enabled and not calls.hedged:
        return "nothing to pay for"
    settings = upstream.retry
    return f"{share(settings.budget)} of the calls of 10 s, {settings.budget_floor} at least, for retries and hedges"
