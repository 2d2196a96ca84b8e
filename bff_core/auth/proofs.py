"""The ways to prove who one is that a gateway's settings name."""

from collections.abc import Callable, Mapping
from time import time

from bff_core.auth.contract import Proof
from bff_core.discovery import source_of
from bff_core.settings import GatewaySettings, UpstreamSettings
from bff_core.wire import Wire

__all__ = ["proofs_of", "upstreams_of_proofs"]


def upstreams_of_proofs(settings: GatewaySettings) -> Mapping[str, UpstreamSettings]:
    """Whom they ask, by the names under which they are called."""
    if settings.bearer is None and settings.session is None:
        return {}
    from bff_core.auth.issuer import BEARER, SESSION, elsewhere  # noqa: PLC0415  imports cost the start

    found: dict[str, UpstreamSettings] = {}
    for names, issuer in ((BEARER, settings.bearer), (SESSION, settings.session)):
        if issuer is not None:
            found |= {names.issuer: issuer.called, names.elsewhere: elsewhere(issuer)}
    return found


def proofs_of(
    settings: GatewaySettings, wires: Mapping[str, Wire], agent: str, clock: Callable[[], float] = time
) -> list[Proof]:
    """In the order in which they look at a request. Those that ask somebody do so over one of ``wires``, as ``agent``.
    ``clock`` is seconds since 1970, by which tokens expire.

    What only some of them need is imported where it is needed, because imports cost the start.
    """
    found: list[Proof] = []
    if settings.keys is not None:  # first, because a key is known by its first letters
        from bff_core.auth.api_keys import ApiKeys  # noqa: PLC0415

        found.append(ApiKeys(settings.name, settings.keys))
    if settings.bearer is not None:
        from bff_core.auth.bearer import Bearer  # noqa: PLC0415
        from bff_core.auth.issuer import BEARER  # noqa: PLC0415

        called = settings.bearer.called
        source = source_of(BEARER.issuer, called, settings.discovery)
        found.append(Bearer(settings.name, settings.bearer, wires[called.wire], agent, source=source, clock=clock))
    return found
