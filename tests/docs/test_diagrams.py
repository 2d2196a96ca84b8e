"""Diagrams that are drawn where they are read."""

from pathlib import Path

import pytest

from tests.docs.reading import DOCS, blocks

DRAWN = [file for file in sorted(DOCS.rglob("*.md")) if "```mermaid" in file.read_text(encoding="utf-8")]


def test_there_are_some() -> None:
    assert DRAWN


@pytest.mark.parametrize("file", DRAWN, ids=lambda file: file.name)
def test_no_diagram_has_a_semicolon_because_that_ends_a_statement_and_the_picture_is_an_error(file: Path) -> None:
    assert not [line for block in blocks(file, "mermaid") for line in block.splitlines() if ";" in line]
