"""What the EndpointSlices of a Service come to: instances, each of them once."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bff_core.discovery.contract import Member, SourceFailed
from bff_core.discovery.kubernetes_shapes import (
    Bookmark,
    Change,
    Conditions,
    Endpoint,
    EndpointPort,
    EndpointSlice,
)
from bff_core.lookups import KubernetesLookup
from bff_core.wire import Instance

__all__ = ["Slices", "members"]


class Slices:
    """The slices of one Service as they are known at ``version``."""

    def __init__(self, version: str, listed: Iterable[EndpointSlice]) -> None:
        self.version = version
        self._by_name = {one.metadata.name: one for one in listed}

    def __iter__(self) -> Iterator[EndpointSlice]:
        """The one that changed last comes last, and so has the last word."""
        return iter(sorted(self._by_name.values(), key=_version))

    def __len__(self) -> int:
        return len(self._by_name)

    def take(self, event: Change | Bookmark) -> bool:
        """Learn of it; whether that changes anything."""
        self.version = event.object.metadata.resource_version
        if isinstance(event, Bookmark):
            return False
        name = event.object.metadata.name
        if event.type == "DELETED":
            return self._by_name.pop(name, None) is not None
        self._by_name[name] = event.object
        return True


def members(upstream: str, lookup: KubernetesLookup, slices: Iterable[EndpointSlice]) -> Sequence[Member]:
    """In a fixed order. Of slices that name the same address and port, the last one counts.

    Ready endpoints; where there is none, those that still serve while they terminate, as kube-proxy has it. Raises
    ``SourceFailed`` where it is not clear which port is meant.
    """
    once = {(one.instance.host, one.instance.port): one for one in _found(upstream, lookup, slices)}
    each = _of_one_family(once.values())
    used = [one for one in each if _is_ready(one.endpoint.conditions)]
    used = used or [one for one in each if _still_serves(one.endpoint.conditions)]
    return sorted(Member(one.instance, one.endpoint.zone or "") for one in used)


class _Found(NamedTuple):
    instance: Instance
    endpoint: Endpoint

    @property
    def pod(self) -> str | None:
        return None if self.endpoint.target_ref is None else self.endpoint.target_ref.uid


def _found(upstream: str, lookup: KubernetesLookup, slices: Iterable[EndpointSlice]) -> Iterator[_Found]:
    inhabited = [one for one in slices if one.endpoints]
    ports = [_port(one, lookup.port) for one in inhabited]
    _check(lookup, inhabited, ports)
    for one, port in zip(inhabited, ports, strict=True):
        if port is None or port.port is None:
            continue  # its endpoints have other ports
        scheme = lookup.scheme or ("https" if port.app_protocol == "https" else "http")
        for endpoint in one.endpoints or ():
            yield _Found(Instance(upstream, scheme, endpoint.addresses[0], port.port), endpoint)


def _port(one: EndpointSlice, wanted: str | None) -> EndpointPort | None:
    for port in _tcp(one):
        if wanted is None or wanted in {port.name, str(port.port)}:
            return port
    return None


def _tcp(one: EndpointSlice) -> list[EndpointPort]:
    return [port for port in one.ports or () if port.protocol in {None, "TCP"} and port.port is not None]


def _check(lookup: KubernetesLookup, slices: Sequence[EndpointSlice], chosen: Sequence[EndpointPort | None]) -> None:
    if not slices:
        return
    # by name, because a port of one name may have another number in pods of another version
    there = {port.name or "": f"{port.name or 'unnamed'} ({port.port})" for one in slices for port in _tcp(one)}
    listed = ", ".join(there[name] for name in sorted(there)) or "none that is TCP"
    if lookup.port is None and len(there) > 1:
        raise SourceFailed(f"{lookup}: the Service has several ports, and one must be named: {listed}")
    if not any(chosen):
        raise SourceFailed(f"{lookup}: its endpoints have no such port: {listed}")


def _of_one_family(found: Iterable[_Found]) -> list[_Found]:
    # a pod of a dual-stack Service is in slices of both families, and would get twice its share
    each = list(found)
    reached = {one.pod for one in each if one.pod and ":" not in one.instance.host}
    return [one for one in each if ":" not in one.instance.host or one.pod not in reached]


def _is_ready(conditions: Conditions) -> bool:
    return conditions.ready is not False


def _still_serves(conditions: Conditions) -> bool:
    return conditions.serving is not False and conditions.terminating is True


def _version(one: EndpointSlice) -> tuple[int, str]:
    version = one.metadata.resource_version
    return len(version), version  # as numbers, which they are, without relying on it
