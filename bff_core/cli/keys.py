"""``bff keys``: making, showing, rotating and revoking the API keys of a gateway."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bff_core.auth.key_refusals import KeysRefused
from bff_core.cli.arguments import Dev, Name, SettingsFile
from bff_core.cli.found import find
from bff_core.cli.spans import seconds
from bff_core.telemetry.log import JsonFormatter

if TYPE_CHECKING:
    from bff_core.cli.key_work import KeyWork

__all__ = ["create", "keys", "revoke", "rotate", "show"]

keys = typer.Typer(help="Make, show, rotate and revoke the API keys of a gateway.", no_args_is_help=True)

KeyId = Annotated[
    str, typer.Argument(metavar="ID", help="Of the key, as `bff keys list` shows it.", show_default=False)
]


@keys.command()
def create(
    name: Name,
    owner: Annotated[str, typer.Option(help="Whose key it is.", show_default=False)],
    plan: Annotated[str, typer.Option(help="How much it may do.", show_default=False)] = "",
    scope: Annotated[list[str] | None, typer.Option(help="What it may do; once for each.", show_default=False)] = None,
    expires: Annotated[str | None, typer.Option(help="After how long, like 90d.", show_default=False)] = None,
    label: Annotated[str, typer.Option("--name", help="What it is for.", show_default=False)] = "",
    settings: SettingsFile = None,
    dev: Dev = False,
) -> None:
    """Make a key. It goes to standard output, this once, and everything else to standard error."""
    life = None if expires is None else seconds("--expires", expires)
    if life == 0:
        raise KeysRefused("--expires: a key must live for some time")
    made = _work(name, settings, dev=dev).create(owner=owner, plan=plan, scopes=scope or (), life=life, label=label)
    typer.echo(made)


@keys.command("list")
def show(
    name: Name,
    settings: SettingsFile = None,
    owner: Annotated[str | None, typer.Option(help="Of this owner alone.", show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    dev: Dev = False,
) -> None:
    """Show all keys, those that are not taken any more too. A key itself is never shown again."""
    work = _work(name, settings, dev=dev)
    if json:
        work.print_document(owner)
    else:
        work.show(owner)


@keys.command()
def rotate(
    name: Name,
    key_id: KeyId,
    overlap: Annotated[str, typer.Option(help="How long the old key is still taken; 0s revokes it.")] = "7d",
    settings: SettingsFile = None,
    dev: Dev = False,
) -> None:
    """Make a key in the place of another, with the same owner, plan, scopes and length of life."""
    typer.echo(_work(name, settings, dev=dev).rotate(key_id, seconds("--overlap", overlap)))


@keys.command()
def revoke(name: Name, key_id: KeyId, settings: SettingsFile = None, dev: Dev = False) -> None:
    """Have a key refused everywhere, within `keys.fresh`."""
    _work(name, settings, dev=dev).revoke(key_id)


def _work(name: str, file: Path | None, *, dev: bool) -> "KeyWork":
    found = find(name).settings(file, dev=dev)
    if found.keys is None:
        raise KeysRefused(f"{found.name} takes no API keys: there is no [keys] in its settings")
    from bff_core.cli.key_work import KeyWork  # noqa: PLC0415  which imports the database's library

    _audit_to_standard_error()
    return KeyWork(found.keys)


def _audit_to_standard_error() -> None:
    handler = logging.StreamHandler(sys.stderr)  # standard output has the key alone
    handler.setFormatter(JsonFormatter())
    log = logging.getLogger("bff.audit")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
