"""What can be typed after ``bff``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bff_core.auth.key_refusals import KeysRefused, StoreFailed
from bff_core.cli import check as checking
from bff_core.cli import dev as developing
from bff_core.cli import run as running
from bff_core.cli import upstreams as watching
from bff_core.cli.arguments import Dev, Name, SettingsFile
from bff_core.cli.found import NotFoundError, find
from bff_core.cli.keys import keys
from bff_core.cli.operators import NoAnswer
from bff_core.server.listener import PortTaken
from bff_core.server.process import ListenerLost, StartFailed
from bff_core.server.supervisor import WorkersLost
from bff_core.settings import SettingsError

__all__ = ["main"]

app = typer.Typer(
    help="Run, check and develop gateways.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)

app.add_typer(keys, name="keys")


@app.command()
def run(
    name: Name,
    settings: SettingsFile = None,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Processes.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Listen on this port.", show_default=False)] = None,
    uds: Annotated[Path | None, typer.Option(help="Listen on this Unix socket.", show_default=False)] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.", show_default=False)] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.", show_default=False)] = None,
    dev: Dev = False,
    inherit: Annotated[int | None, typer.Option(hidden=True)] = None,
    operators: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run one gateway, and its listener for operators, until it is told to stop. Options go before settings."""
    found = find(name)
    known = found.settings(settings, dev=dev)
    told = running.changed(known, workers=workers, port=port, uds=uds, cert=tls_cert, key=tls_key)
    if inherit is not None and operators is not None:
        running.run_worker(found, told, inherit, operators)
    else:
        running.run(found, told)


@app.command()
def check(name: Name, settings: SettingsFile = None, dev: Dev = False) -> None:
    """Check a gateway's settings, and show what they come to."""
    found = find(name)
    checking.show(found, found.settings(settings, dev=dev))


@app.command()
def upstreams(
    name: Name,
    settings: SettingsFile = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every second, until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what the gateway says, as it says it.")] = False,
    dev: Dev = False,
) -> None:
    """Show how a gateway that runs sees its upstreams, and each of their instances."""
    told = find(name).settings(settings, dev=dev)
    if watch and json:
        raise SettingsError("--watch and --json: a document is printed once")
    if json:
        watching.print_document(told)
    elif watch:
        watching.watch(told)
    else:
        watching.show(told)


@app.command()
def dev() -> None:
    """Run every gateway, and what ``[tool.bff] dev`` in pyproject.toml names beside them."""
    sys.exit(developing.develop())


_ONE_LINE = (
    SettingsError,
    NotFoundError,
    NoAnswer,
    PortTaken,
    ListenerLost,
    StartFailed,
    WorkersLost,
    KeysRefused,
    StoreFailed,
)


def main() -> None:
    """Run a command. What a user did wrong is one clear line, and exit status 1."""
    sys.path.insert(0, str(Path.cwd()))  # gateways are found where the command is run
    try:
        app()
    except _ONE_LINE as error:
        # in one write, or two processes that end together share a line
        print(f"bff: {error}\n", end="", file=sys.stderr)
        sys.exit(1)
