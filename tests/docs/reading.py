"""Documents, as tests read them."""

import re
from pathlib import Path

__all__ = ["DOCS", "blocks", "rows"]

DOCS = Path(__file__).parent.parent.parent / "docs"


def blocks(file: Path, language: str) -> list[str]:
    """What stands between its fences of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", file.read_text(), re.DOTALL | re.MULTILINE)


def rows(file: Path, first: str) -> list[list[str]]:
    """The rows of its tables whose first heading is this, each as its cells."""
    found: list[list[str]] = []
    inside = False
    for line in file.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif inside and not set(line) <= set("|-"):
            found.append(cells)
        elif cells[0] == first:
            inside = True
    return found
