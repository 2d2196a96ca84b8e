"""What most commands are told: which gateway, and which settings."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Dev", "Name", "SettingsFile"]

Name = Annotated[
    str, typer.Argument(help="The gateway: the name of its folder, or of its package, with dots.", show_default=False)
]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="Another file than the gateway's own.", show_default=False)
]
Dev = Annotated[
    bool, typer.Option("--dev", help="With keys and secrets made up for this folder, as `bff dev` has them.")
]
