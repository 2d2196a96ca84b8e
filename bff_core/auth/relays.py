"""The relay that a gateway's settings name."""

from typing import TYPE_CHECKING

from bff_core.settings import GatewaySettings
from bff_core.upstream import NO_RELAY, Relay

if TYPE_CHECKING:
    from bff_core.auth.relay_keys import RelayKeys

__all__ = ["relay_keys_of", "relay_to"]


def relay_keys_of(settings: GatewaySettings) -> "RelayKeys | None":
    """What it signs with; made anew each time where the settings name no key."""
    if settings.relay is None:
        return None
    from bff_core.auth.relay_keys import RelayKeys  # noqa: PLC0415  imports cost the start

    return RelayKeys(settings.relay.pems)


def relay_to(upstream: str, settings: GatewaySettings, keys: "RelayKeys | None") -> Relay:
    """How this upstream is told who asks, by tokens that are signed with ``keys``."""
    if settings.relay is None or keys is None:
        return NO_RELAY
    from bff_core.auth.relay import RelayTokens  # noqa: PLC0415

    return RelayTokens(settings.relay, upstream, keys)
