"""What can be typed after ``bff``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bff_core.cli import check as checking
from bff_core.cli import dev as developing
from bff_core.cli import serve as serving
from bff_core.cli.found import FoundGateway, NotFoundError, find
from bff_core.settings import SettingsError

__all__ = ["main"]

app = typer.Typer(
    help="Run, check and develop gateways.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)

Name = Annotated[str, typer.Argument(help="The gateway, by the name of its folder.", show_default=False)]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="Another file than the gateway's own.", show_default=False)
]


@app.command()
def run(name: Name, settings: SettingsFile = None) -> None:
    """Run one gateway, and its listener for operators, until it is told to stop."""
    found: FoundGateway = find(name)
    serving.serve(found, found.settings(settings))


@app.command()
def check(name: Name, settings: SettingsFile = None) -> None:
    """Check a gateway's settings, and show what they come to."""
    found = find(name)
    checking.show(found, found.settings(settings))


@app.command()
def dev() -> None:
    """Run every gateway, and what ``[tool.bff] dev`` in pyproject.toml names beside them."""
    sys.exit(developing.develop())


def main() -> None:
    """Run a command. What a user did wrong is one clear line, and exit status 1."""
    sys.path.insert(0, str(Path.cwd()))  # gateways are found where the command is run
    try:
        app()
    except (SettingsError, NotFoundError, serving.PortTaken, serving.ListenerLost) as error:
        print(f"bff: {error}", file=sys.stderr)
        sys.exit(1)
