"""What is said of API keys can be set and typed, and is what holds."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from bff_core.auth.key_format import read_key
from bff_core.auth.key_refusals import KeyRefused
from bff_core.cli.keys import keys
from bff_core.key_settings import KeySettings
from bff_core.settings import load
from tests.bff_core.kept_keys import PEPPER
from tests.docs.reading import DOCS, blocks, rows

PAGE = DOCS / "identity-keys.md"
COMMANDS = re.findall(r"^\$ bff keys ([^>#\n]*)", PAGE.read_text(), re.MULTILINE)
SETTINGS = {
    key.strip("`").removeprefix("keys."): default.strip("`").strip('"') for key, default, _ in rows(PAGE, "setting")
}


def test_what_is_shown_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = [
        'name = "public_api"',
        'listen = "127.0.0.1:1"',
        'admin = "127.0.0.1:2"',
        'deadline = "5s"',
        "upstreams = {}",
    ]
    file = tmp_path / "settings.toml"
    file.write_text("\n".join([*needed, *blocks(PAGE, "toml")]))
    (variable,) = re.findall(r"export (\w+)=", PAGE.read_text())
    monkeypatch.setenv(variable, PEPPER)
    assert load(file).keys == KeySettings(pepper=PEPPER)


def test_every_setting_is_documented_with_its_true_default() -> None:
    assert set(SETTINGS) == set(KeySettings.model_fields)
    said = {name: default for name, default in SETTINGS.items() if name != "pepper"}
    assert KeySettings(pepper=PEPPER, **said) == KeySettings(pepper=PEPPER)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_that_is_shown_can_be_typed(line: str) -> None:
    name, *words = shlex.split(line)
    group: Any = typer.main.get_command(keys)
    group.commands[name].make_context(name, words)


def test_every_command_is_shown() -> None:
    group: Any = typer.main.get_command(keys)
    assert {line.split()[0] for line in COMMANDS} == set(group.commands)


def test_the_key_that_is_shown_is_written_as_keys_are() -> None:
    shown = blocks(PAGE, "text")[0].splitlines()[0]
    assert read_key(shown).id == "tDBIFAWX1Uzp"
    with pytest.raises(KeyRefused):
        read_key(shown.replace("tDB", "tBD"))
