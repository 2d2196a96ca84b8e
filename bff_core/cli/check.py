"""What a gateway's settings come to, for people."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from bff_core.cli.calls import Calls, calls_of
from bff_core.cli.doubts import doubts
from bff_core.cli.figures import duration
from bff_core.cli.found import FoundGateway
from bff_core.cli.identity import identity
from bff_core.cli.policies import policies, way
from bff_core.settings import GatewaySettings, UpstreamSettings

__all__ = ["show"]


def show(found: FoundGateway, settings: GatewaySettings) -> None:
    """Print them, and warn of what is allowed but cannot be meant. Raises ``SettingsError`` where they are wrong."""
    app = found.create(settings)  # finds what only assembling can find, such as an upstream that nothing calls
    store = getattr(app.state, "store", None)
    calls = {} if store is None else calls_of(type(store))
    console = Console(highlight=False)
    for line in _lines(settings):
        console.print(line, markup=False)
    console.print(_reached(settings))
    for table in _called(settings, calls):
        console.print(table)
    for doubt in doubts(settings, calls):
        console.print(f"warning: {doubt}", style="yellow", markup=False, soft_wrap=True)
    console.print("[green]ok[/]")


def _lines(settings: GatewaySettings) -> list[str]:
    tls = f"with TLS by {settings.tls.cert}" if settings.tls else "without TLS"
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    return [
        f"{settings.name} listens on {settings.listen} {tls}, for operators on {settings.admin}",
        f"answers within {duration(settings.deadline)} for {', '.join(settings.hosts)}",
        f"{workers}, each with at most {settings.connections} connections and {settings.in_flight} requests",
        f"drains for {duration(settings.drain)}",
        *([f"asks instances in zone {settings.zone} first"] if settings.zone else []),
        *identity(settings),
        *([f"hands on baggage: {', '.join(settings.baggage)}"] if settings.baggage else []),
    ]


def _reached(settings: GatewaySettings) -> Table:
    table = Table("upstream", "instances", "wire")
    for name, upstream in settings.upstreams.items():
        table.add_row(name, _found(upstream), way(upstream))
    return table


def _found(upstream: UpstreamSettings) -> str:
    return "\n".join(map(str, upstream.instances)) if upstream.discover is None else str(upstream.discover)


def _called(settings: GatewaySettings, calls: Mapping[str, Calls]) -> list[Table]:
    """One table for all upstreams that are called alike."""
    alike: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, upstream in settings.upstreams.items():
        alike.setdefault(tuple(policies(upstream, calls.get(name, Calls()))), []).append(name)
    tables = []
    for rows, names in alike.items():
        table = Table("policy", ", ".join(names))
        for row in rows:
            table.add_row(*row)
        tables.append(table)
    return tables
