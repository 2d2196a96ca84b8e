"""How clients may prove who they are, and how services are told, in words; without anything secret."""

from bff_core.bearer_settings import BearerSettings
from bff_core.cli.figures import duration
from bff_core.key_settings import KeySettings
from bff_core.relay_settings import RelaySettings
from bff_core.session_settings import SessionSettings
from bff_core.settings import GatewaySettings
from bff_core.upstream_settings import UpstreamSettings

__all__ = ["identity"]


def identity(settings: GatewaySettings) -> list[str]:
    """One line for each thing that is set; none where clients cannot, and no service is told."""
    return [
        *([] if settings.bearer is None else _bearer(settings.bearer)),
        *([] if settings.keys is None else [_keys(settings.keys)]),
        *([] if settings.session is None else _session(settings.session)),
        *([] if settings.relay is None else [_relay(settings.relay)]),
    ]


def _bearer(settings: BearerSettings) -> list[str]:
    lines = [
        f"takes tokens of {settings.issuer} for {settings.audience}, signed with {', '.join(settings.algorithms)}",
        f"whose clock may be {duration(settings.leeway)} off; it is called at {_place(settings.called)}",
    ]
    if settings.introspection is not None:
        lines.append(f"asks it about tokens that are no JWT, as {settings.introspection.client_id}")
    return lines


def _place(called: UpstreamSettings) -> str:
    return ", ".join(map(str, called.instances)) if called.discover is None else str(called.discover)


def _keys(keys: KeySettings) -> str:
    peppers = "1 pepper" if len(keys.peppers) == 1 else f"{len(keys.peppers)} peppers"
    kept = f"kept in {keys.place}, with {peppers}"
    return f"takes API keys of {keys.environment}, {kept}, and refuses revoked ones within {duration(keys.fresh)}"


def _session(session: SessionSettings) -> list[str]:
    keys = len(session.sealing_keys)
    sealed = "1 key" if keys == 1 else f"{keys} keys, the first of them"
    ends = f"after {duration(session.idle)} unused, and after {duration(session.absolute)}"
    cookies = "" if session.is_secure else "; cookies without TLS, as on a machine for development"
    return [
        f"browsers of {session.origin} log in with {session.issuer}, as {session.client_id}{cookies}",
        f"that provider is called at {_place(session.called)}",
        f"sessions are kept in {session.place}, encrypted with {sealed}; they end {ends}",
    ]


def _relay(relay: RelaySettings) -> str:
    several = f"{len(relay.pems)} keys, the first of them"
    signed = {0: "a key made at the start", 1: "1 key"}.get(len(relay.pems), several)
    return f"tells services who asks, as {relay.issuer}, in tokens of {duration(relay.lifetime)}, signed with {signed}"
