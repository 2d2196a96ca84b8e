"""The source that the settings of an upstream name."""

from bff_core.discovery.contract import Member, Source
from bff_core.discovery.static import Static
from bff_core.discovery_settings import DiscoverySettings
from bff_core.lookups import ConsulLookup, DnsLookup, KubernetesLookup
from bff_core.upstream_settings import UpstreamSettings
from bff_core.wire import Instance

__all__ = ["source_of"]


def source_of(upstream: str, settings: UpstreamSettings, discovery: DiscoverySettings | None = None) -> Source:
    """Not read yet. What only some of them need is imported where it is needed, because imports cost the start."""
    asked = discovery or DiscoverySettings()
    match settings.discover:
        case DnsLookup() as lookup:
            from bff_core.discovery.dns import Dns  # noqa: PLC0415

            return Dns(upstream, lookup, asked.dns)
        case ConsulLookup() as lookup:
            from bff_core.discovery.consul import Consul  # noqa: PLC0415

            return Consul(upstream, lookup, asked.consul)
        case KubernetesLookup() as lookup:
            from bff_core.discovery.kubernetes import Kubernetes  # noqa: PLC0415

            return Kubernetes(upstream, lookup, asked.kubernetes)
        case _:
            members = [
                Member(Instance.parse(upstream, place.url), place.zone, place.weight) for place in settings.instances
            ]
            return Static(members)
