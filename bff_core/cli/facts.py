"""What a gateway that runs says of its upstreams, as far as people are shown it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from bff_core.cli.log_line import visible

__all__ = ["GatewayFacts", "InstanceFacts", "ProcessFacts", "SourceFacts", "UpstreamFacts"]

Word = Annotated[str, AfterValidator(visible)]
"""Fit for a terminal, because a name server may have said it."""


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True)


class InstanceFacts(_Facts):
    """One instance. ``latency`` and ``back_in`` are seconds."""

    address: Word
    zone: Word
    weight: float
    state: Word
    latency: float | None
    in_flight: int
    calls: int
    failures: int
    ejections: int
    back_in: float | None


class SourceFacts(_Facts):
    """Where instances are looked up: ``static`` where they are a list in the settings."""

    of: Word
    last_answer_at: datetime | None
    failing_since: datetime | None
    failure: Word | None


class UpstreamFacts(_Facts):
    """One upstream. ``p50`` and ``p95`` are seconds."""

    instances: Sequence[InstanceFacts]
    panic: bool
    source: SourceFacts
    circuit: Word
    p50: float | None
    p95: float | None
    in_flight: int
    limit: int


class ProcessFacts(_Facts):
    """What one process knows; ``worker`` and ``pid`` where there are several, ``error`` where one does not answer."""

    worker: int | None = None
    pid: int | None = None
    error: Word | None = None
    ready: bool
    upstreams: Mapping[Word, UpstreamFacts] = {}


class GatewayFacts(ProcessFacts):
    """The whole answer."""

    gateway: Word
    workers: Sequence[ProcessFacts] = ()

    @property
    def processes(self) -> Sequence[ProcessFacts]:
        """Its workers; where it has none, itself."""
        return self.workers or [self]
