"""Instances that Kubernetes knows: the endpoints of a Service, listed once and then watched."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from bff_core.discovery.contract import Member, SourceFailed
from bff_core.discovery.endpoint_slices import Slices, members
from bff_core.discovery.kubernetes_access import access
from bff_core.discovery.kubernetes_api import EndpointSliceApi, Gone, WatchBroken
from bff_core.discovery.pace import AT_ONCE, Pace
from bff_core.discovery_settings import KubernetesSettings
from bff_core.lookups import KubernetesLookup

__all__ = ["Kubernetes"]

_log = logging.getLogger("bff.discovery")


class Kubernetes:
    """A ``Source``. ``upstream`` is the name that instances get."""

    known: Sequence[Member] = ()

    def __init__(self, upstream: str, lookup: KubernetesLookup, settings: KubernetesSettings) -> None:
        self._upstream, self._lookup, self._settings = upstream, lookup, settings
        self._api: EndpointSliceApi | None = None
        self._warned = False

    async def sets(self) -> AsyncGenerator[Sequence[Member], None]:
        """See ``Source``. Who is asked and who asks is read anew each time: it may be why it has failed."""
        await self.close()
        self._api = api = EndpointSliceApi(access(self._settings), self._lookup.namespace, self._lookup.service)
        pace = Pace()
        while True:
            began = _now()
            slices = await api.list()
            self._doubt(slices, api.namespace)
            yield members(self._upstream, self._lookup, slices)
            async with aclosing(_changes(api, slices, pace)) as changes:
                async for _ in changes:
                    yield members(self._upstream, self._lookup, slices)
            await asyncio.sleep(pace.pause(_now() - began))

    async def close(self) -> None:
        """See ``Source``."""
        api, self._api = self._api, None
        if api is not None:
            await api.close()

    def _doubt(self, slices: Slices, namespace: str) -> None:
        # a Service with a selector has a slice even where it has no pod
        if not slices and not self._warned:
            self._warned = True
            _log.warning(
                "%s: there is no EndpointSlice of a Service %s in the namespace %s; is that its name?",
                self._upstream,
                self._lookup.service,
                namespace,
            )


async def _changes(api: EndpointSliceApi, slices: Slices, pace: Pace) -> AsyncGenerator[None, None]:
    """Whenever something has changed in ``slices``, until they must be listed anew."""
    while True:
        began = _now()
        try:
            async with aclosing(api.watch(slices.version)) as events:
                async for event in events:
                    if slices.take(event):
                        yield
        except Gone:
            return
        except WatchBroken as broken:
            # listed anew, because what we know may come from a server that has lost it since
            if _now() - began < AT_ONCE:
                raise SourceFailed(str(broken)) from broken
            return
        await asyncio.sleep(pace.pause(_now() - began))


def _now() -> float:
    return asyncio.get_running_loop().time()
