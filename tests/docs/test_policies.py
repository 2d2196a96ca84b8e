"""What is said of policies is what they do, and every setting is said."""

import ast
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bff_core import errors
from bff_core.cli.doubts import doubts
from bff_core.errors import Reason, UpstreamError
from bff_core.settings import GatewaySettings, load
from bff_core.testing import SimulatedInternet, run
from bff_core.upstream import Upstream
from bff_core.upstream_settings import UpstreamSettings
from tests.docs.reading import DOCS, blocks, rows

POLICIES = sorted(DOCS.glob("policies/*.md"))
INDEX = DOCS / "policies/README.md"
INSTANCES = ["http://a.test", "http://b.test"]
EVERYTHING = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]

SETTINGS = [(file.name, key.strip("`"), default) for file in POLICIES for key, default, *_ in rows(file, "setting")]


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The keys of a table of settings, those of the tables in it with dots."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_setting_of_a_policy_is_documented_and_no_other() -> None:
    documented = {key for _, key, _ in SETTINGS if not key.endswith(".*")}

    assert documented == {*leaves(UpstreamSettings), "deadline"}


@pytest.mark.parametrize(("file", "key", "default"), SETTINGS, ids=str)
def test_a_documented_default_is_the_true_one(file: str, key: str, default: str) -> None:
    if key.endswith(".*"):
        assert issubclass(UpstreamSettings.model_fields[key[:-2]].annotation or int, BaseModel)
        return
    if key == "deadline":
        assert (default, GatewaySettings.model_fields[key].is_required()) == ("", True)
        return
    if not default:
        assert UpstreamSettings.model_fields[key].default == ()
        return
    ordinary = UpstreamSettings(instances=INSTANCES)
    if default == "none":
        assert value_of(ordinary, key) is None
        return
    said = tomllib.loads(f"{key} = {default.strip('`')}")
    assert value_of(UpstreamSettings(instances=INSTANCES, **said), key) == value_of(ordinary, key)
    assert default == f"`{default.strip('`')}`"


def value_of(settings: BaseModel, key: str) -> Any:
    for step in key.split("."):
        settings = getattr(settings, step)
    return settings


SNIPPETS = [(file.name, snippet) for file in POLICIES for snippet in blocks(file, "toml")]


@pytest.mark.parametrize(("file", "snippet"), SNIPPETS, ids=lambda value: value if value.endswith(".md") else "")
def test_what_is_shown_as_settings_can_be_set_and_is_not_doubted(file: str, snippet: str, tmp_path: Path) -> None:
    """As it stands, but for the instances of upstreams that it does not name them of."""
    lines = ['name = "web"', 'listen = "127.0.0.1:8000"', 'admin = "127.0.0.1:9000"']
    shown = tomllib.loads(snippet)
    if "deadline" not in shown:
        lines.append('deadline = "2s"')
    for name, upstream in shown["upstreams"].items():
        if not upstream.keys() & {"instances", "discover"}:
            lines.append(f"upstreams.{name}.instances = {INSTANCES}")
    written = tmp_path / "settings.toml"
    written.write_text(merged(lines, snippet))
    settings = load(written)

    assert doubts(settings, {}) == []
    assert set(settings.upstreams) == set(shown["upstreams"])


def merged(lines: list[str], snippet: str) -> str:
    """Both as one file: what is said of an upstream stands in its own table, or TOML takes it for two."""
    tables, plain = [], []
    for line in lines:
        (tables if line.startswith("upstreams.") else plain).append(line)
    for line in tables:
        _, name, key = line.split(".", 2)
        header = f"[upstreams.{name}]\n"
        snippet = snippet.replace(header, header + key + "\n") if header in snippet else f"{snippet}\n{header}{key}\n"
    top, _, below = snippet.partition("[")
    return "\n".join([*plain, top, "[" + below])


def test_what_operators_see_is_documented_and_nothing_else() -> None:
    upstream = Upstream("shop", UpstreamSettings(instances=INSTANCES), SimulatedInternet(), agent="bff-test/1")

    async def seen() -> set[str]:
        return set(upstream.facts())

    documented = {name.strip("` ") for cell, *_ in rows(INDEX, "member") for name in cell.split(",")}
    assert documented == {*run(seen()), "instances"}


def test_every_reason_of_an_upstream_is_documented_with_its_status() -> None:
    thrown = [
        error
        for error in vars(errors).values()
        if isinstance(error, type)
        and (issubclass(error, UpstreamError | errors.TooLate) or error in {errors.NotFound, errors.InvalidRequest})
    ]
    statuses: dict[str, set[str]] = {}
    for error in thrown:
        if error is not UpstreamError:
            statuses.setdefault(error.reason.value, set()).add(str(error.status))

    assert {row[0].strip("`"): set(row[2].split("; ")) for row in rows(INDEX, "reason")} == statuses


def test_the_reasons_in_the_glossary_are_all_there_are() -> None:
    (row,) = [row for row in rows(DOCS / "glossary.md", "word") if row[0] == "missing, reason"]

    assert {reason for reason in Reason if f"`{reason}`" in row[1]} == set(Reason) - {Reason.SKIPPED}


def test_a_check_looks_as_it_is_shown() -> None:
    (console,) = blocks(INDEX, "console")
    command, _, said = console.partition("\n")
    done = subprocess.run(
        [sys.executable, "-m", "bff_core.cli", *command.split()[2:]],
        cwd=DOCS.parent,
        env={"PATH": "", "PYTHONPATH": str(DOCS.parent), "COLUMNS": "80", "LANG": os.environ.get("LANG", "C.UTF-8")},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    assert done.stdout == said


@pytest.mark.parametrize("file", [file for file in POLICIES if file != INDEX], ids=lambda file: file.name)
def test_each_policy_says_what_it_promises_when_and_what_not(file: Path) -> None:
    text = file.read_text()

    assert f"]({file.name})" in INDEX.read_text()
    for word in ("**Promises**: ", "## When to use it", "**Do** ", "**Don't** ", "## What is seen"):
        assert word in text, word
    for block in blocks(file, "python"):
        ast.parse(textwrap.dedent(block))


@pytest.mark.parametrize("file", EVERYTHING, ids=lambda file: str(file.relative_to(DOCS.parent)))
def test_what_is_linked_is_there(file: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", file.read_text())
    assert [link for link in links if "://" not in link and not (file.parent / link).exists()] == []
