"""The ways to prove who one is that a gateway's settings name."""

from collections.abc import Sequence

from bff_core.auth.contract import Proof
from bff_core.settings import GatewaySettings
from bff_core.wire import Wire

__all__ = ["proofs_of"]


def proofs_of(settings: GatewaySettings, wire: Wire, agent: str) -> Sequence[Proof]:
    """In the order in which they look at a request. Those that ask somebody do so over ``wire``, as ``agent``.

    What only some of them need is imported where it is needed, because imports cost the start.
    """
    found: list[Proof] = []
    if settings.keys is not None:  # first, because a key is known by its first letters
        from bff_core.auth.api_keys import ApiKeys  # noqa: PLC0415

        found.append(ApiKeys(settings.name, settings.keys))
    if settings.bearer is not None:
        from bff_core.auth.bearer import Bearer  # noqa: PLC0415

        found.append(Bearer(settings.name, settings.bearer, wire, agent))
    return found
