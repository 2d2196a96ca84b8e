"""What a gateway's settings come to, for people."""

from rich.console import Console
from rich.table import Table

from bff_core.cli.found import FoundGateway
from bff_core.settings import GatewaySettings

__all__ = ["show", "warnings"]


def show(found: FoundGateway, settings: GatewaySettings) -> None:
    """Print them, and warn of what is allowed but cannot be meant. Raises ``SettingsError`` where they are wrong."""
    found.create(settings)  # finds what only assembling can find, such as an upstream that nothing calls
    console = Console()
    console.print(f"[bold]{settings.name}[/] listens on {settings.listen}, for operators on {settings.admin}")
    console.print(f"answers within {_duration(settings.deadline)} for {', '.join(settings.hosts)}", markup=False)
    table = Table("upstream", "instances", "timeout", "largest reply")
    for name, upstream in settings.upstreams.items():
        size = f"{upstream.max_reply / 1024 / 1024:g} MiB"
        table.add_row(name, "\n".join(upstream.instances), _duration(upstream.timeout), size)
    console.print(table)
    for warning in warnings(settings):
        console.print(f"warning: {warning}", style="yellow", markup=False)
    console.print("[green]ok[/]")


def warnings(settings: GatewaySettings) -> list[str]:
    """Settings that are allowed and cannot be meant."""
    return [
        f"upstreams.{name}.timeout: {_duration(upstream.timeout)} is not below the deadline of "
        f"{_duration(settings.deadline)}, so that this timeout never counts"
        for name, upstream in settings.upstreams.items()
        if upstream.timeout >= settings.deadline
    ]


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"
