"""How clients may prove who they are, in words; without anything secret."""

from bff_core.bearer_settings import BearerSettings
from bff_core.cli.figures import duration
from bff_core.key_settings import KeySettings
from bff_core.settings import GatewaySettings
from bff_core.upstream_settings import UpstreamSettings

__all__ = ["identity"]


def identity(settings: GatewaySettings) -> list[str]:
    """One line for each thing that is set; none where clients cannot."""
    lines = [] if settings.bearer is None else _bearer(settings.bearer)
    return lines if settings.keys is None else [*lines, _keys(settings.keys)]


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
