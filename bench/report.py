"""What a scenario found, for the terminal, for Markdown and for the file of results."""

from dataclasses import dataclass, field
from math import floor, log10
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

__all__ = ["Report", "figure", "markdown", "rounded", "table"]


@dataclass(frozen=True, slots=True)
class Report:
    """A table, what it comes to, every figure it was made from, the notes below it, and what a plot of it shows."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    summary: dict[str, Any]
    """What ``results/latest.json`` says of it."""

    raw: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    bars: dict[str, float] = field(default_factory=dict)


def table(report: Report) -> Table:
    """For a terminal; where it is narrow, a figure goes on in the next line rather than lose digits."""
    drawn = Table(title=report.title, title_justify="left", box=SIMPLE_HEAD)
    for place, heading in enumerate(report.headings):
        drawn.add_column(heading, justify="left" if place == 0 else "right", overflow="fold", no_wrap=place == 0)
    for row in report.rows:
        drawn.add_row(*row)
    return drawn


def markdown(report: Report) -> str:
    """For a README."""
    lines = [report.headings, ["---", *("---:" for _ in report.headings[1:])], *report.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(value: float) -> str:
    """With two digits that count at least, and a comma for thousands."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    places = 2 if size >= 0.1 or not size else 1 - floor(log10(size))
    return f"{value:.{places}f}"


def rounded(value: float) -> float:
    """To the four digits that are more than enough for what no two runs agree on."""
    return float(f"{value:.4g}")
