"""Instances that Consul knows."""

from collections.abc import AsyncGenerator, Sequence

from bff_core.discovery.contract import Member, SourceFailed
from bff_core.discovery_settings import ConsulSettings
from bff_core.lookups import ConsulLookup

__all__ = ["Consul"]


class Consul:
    """A ``Source``. ``upstream`` is the name that instances get."""

    known: Sequence[Member] = ()

    def __init__(self, upstream: str, lookup: ConsulLookup, settings: ConsulSettings) -> None:
        self._upstream, self._lookup, self._settings = upstream, lookup, settings

    async def sets(self) -> AsyncGenerator[Sequence[Member], None]:
        """See ``Source``."""
        raise SourceFailed("not built yet")
        yield ()

    async def close(self) -> None:
        """See ``Source``."""
