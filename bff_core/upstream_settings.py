"""How one upstream is called: what can be set for each of its policies, and what holds where nothing is set."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from bff_core.lookups import Discover, Lookup
from bff_core.setting_types import Duration, Place, Share, Strict
from bff_core.tls import TlsSettings

__all__ = [
    "BulkheadSettings",
    "CheckSettings",
    "CircuitSettings",
    "EjectionSettings",
    "HedgeSettings",
    "RetrySettings",
    "UpstreamSettings",
    "schemes",
]


class RetrySettings(Strict):
    """How a safe call that failed is tried again."""

    attempts: Annotated[int, Field(ge=0, le=10)] = 2
    """Extra ones, each on another instance where there is one; 0 tries nothing again."""

    first_pause: Duration = 0.025
    """The longest pause before the first extra attempt; before each further one it is twice as long."""

    longest_pause: Duration = 0.25

    budget: Share = 0.1
    """Retries and hedges of the last ten seconds, as a share of the calls of those ten seconds; shared by all pages."""

    budget_floor: Annotated[int, Field(ge=0)] = 10
    """As many are always affordable in ten seconds, however few calls there are."""


class CircuitSettings(Strict):
    """When an upstream is left alone for a while."""

    enabled: bool = True

    failures: Annotated[Share, Field(gt=0)] = 0.5
    """It opens when this share of the attempts of ``window`` have failed,"""

    attempts: Annotated[int, Field(gt=0)] = 20
    """of at least so many."""

    window: Duration = 10.0

    slow: Duration | None = None
    """An attempt that takes as long is slow; without it, none is."""

    slow_share: Annotated[Share, Field(gt=0)] = 0.5
    """It opens when this share of the attempts were slow."""

    rest: Duration = 5.0
    """It stays open for so long, up to a fifth more or less, so that gateways do not probe together."""

    successes: Annotated[int, Field(gt=0)] = 3
    """Probes that must succeed in a row before it closes."""


class BulkheadSettings(Strict):
    """How many attempts may be in flight at once. The next call is refused, because a queue hides an overload."""

    limit: Annotated[int, Field(gt=0)] = 100
    """Of an adaptive one, where it begins."""

    adaptive: bool = False
    """Follow the latency that is measured, between ``least`` and ``most``."""

    least: Annotated[int, Field(gt=0)] = 4
    most: Annotated[int, Field(gt=0)] = 1000

    @model_validator(mode="after")
    def _in_order(self) -> "BulkheadSettings":
        if self.adaptive and not self.least <= self.limit <= self.most:
            raise ValueError(f"limit: {self.limit} is not between least, {self.least}, and most, {self.most}")
        return self


class HedgeSettings(Strict):
    """A second attempt, on another instance, at a safe call that takes longer than most. Paid from the retry budget."""

    enabled: bool = False
    """For every safe call; without it, for those whose service client asks for it."""

    soonest: Duration = 0.01
    """Never sooner than this, however quick the upstream is. It is its 95th percentile where that is later."""


class EjectionSettings(Strict):
    """When one instance is left alone for a while, because it fails where the others do not."""

    failures: Annotated[int, Field(gt=0)] = 5
    """So many in a row,"""

    calls: Annotated[int, Field(gt=0)] = 100
    """or, of so many calls in ten seconds,"""

    deviations: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.9
    """a success rate that is so many standard deviations below the mean of at least five instances."""

    rest: Duration = 30.0
    """For so long, times how often it has happened of late,"""

    longest: Duration = 300.0
    """and never longer; a tenth more or less."""

    share: Share = 0.5
    """At most so many of all instances, and never the last one; 0 leaves none alone."""


class CheckSettings(Strict):
    """Asking each instance whether it is well, beside the calls it gets."""

    path: Annotated[str, Field(pattern=r"^/[!-~]*$")]
    """A well one answers GET on it with 2xx."""

    interval: Duration = 10.0
    timeout: Duration = 1.0

    unhealthy: Annotated[int, Field(gt=0)] = 3
    """Failed checks in a row, after which it gets no calls,"""

    healthy: Annotated[int, Field(gt=0)] = 2
    """and good ones, after which it does again."""


class UpstreamSettings(Strict):
    """How one service is called."""

    instances: tuple[Place, ...] = ()
    """A list that never changes: each ``http://`` or ``https://`` with host and port, or ``unix:/run/catalog.sock``, or
    a table with that as ``url``, a ``zone`` and a ``weight``.
    """

    discover: Discover | None = None
    """Where they are looked up instead: ``dns:``, ``consul:`` or ``kubernetes:``."""

    wire: Literal["http1", "httpx"] = "http1"
    """What carries its calls: our own HTTP/1.1, strict and fast, or httpx, for upstreams you trust."""

    timeout: Duration = 0.5
    """Of one attempt."""

    max_reply: Annotated[int, Field(gt=0)] = 8 * 1024 * 1024
    """Bytes of a reply's body, decoded; a longer one is a bad reply."""

    compressed: bool = False
    """Ask for replies in gzip, br or zstd: for upstreams far away, because near by it costs both sides more time."""

    coalesce: bool = True
    """Equal safe calls that are in flight at once share one attempt."""

    retry: RetrySettings = RetrySettings()
    circuit: CircuitSettings = CircuitSettings()
    bulkhead: BulkheadSettings = BulkheadSettings()
    hedge: HedgeSettings = HedgeSettings()
    ejection: EjectionSettings = EjectionSettings()

    slow_start: Duration = 10.0
    """How long an instance that joins others works up to its share."""

    check: CheckSettings | None = None
    """Without it, instances are judged by the calls they get."""

    tls: TlsSettings | None = None
    """For instances with ``https://``, where what this machine trusts is not what counts, or they ask who calls."""

    @field_validator("tls")
    @classmethod
    def _is_used(cls, tls: TlsSettings | None, info: ValidationInfo) -> TlsSettings | None:
        known = {"instances", "discover"} <= info.data.keys()
        if tls is not None and known and "https" not in schemes(info.data["instances"], info.data["discover"]):
            raise ValueError("no instance of this upstream is reached over https")
        return tls

    @model_validator(mode="after")
    def _has_instances(self) -> "UpstreamSettings":
        if self.instances and self.discover is not None:
            raise ValueError("instances and discover are both given: take one out, or set instances to []")
        if not self.instances and self.discover is None:
            raise ValueError("give either instances, or discover")
        return self


def schemes(instances: Iterable[Place], discover: Lookup | None) -> set[str]:
    """What instances may be spoken to with."""
    if discover is None:
        return {place.url.partition(":")[0] for place in instances}
    return {"http", "https"} if discover.scheme is None else {discover.scheme}
