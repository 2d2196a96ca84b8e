"""What can be typed after ``python -m bench``."""

import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from bench import load, plot, results
from bench.machine import described
from bench.plan import Plan
from bench.processes import NotStarted
from bench.profile import FORMATS, NotWatched, record
from bench.report import Report, markdown, table
from bench.scenarios import SCENARIOS

__all__ = ["main"]

_WRK: Final = "wrk is absent; to have it: apt-get install wrk"

app = typer.Typer(help="Measure the gateway beside its peers.", add_completion=False, pretty_exceptions_enable=False)

Seconds = Annotated[float, typer.Option(min=1, help="Of load for each contender in a round.")]


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    scenario: Annotated[list[str] | None, typer.Option(help=f"{', '.join(SCENARIOS)}; all of them by default.")] = None,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    seconds: Seconds = 5.0,
    pages: Annotated[int, typer.Option(min=1, help="The least a contender shall answer in a turn.")] = 1000,
    only: Annotated[list[str] | None, typer.Option(help="Only peers with this in their name.")] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print tables for a README too.")] = False,
    picture: Annotated[Path | None, typer.Option("--plot", help="Draw the CPU of a page into this SVG.")] = None,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Write files into bench/results.")] = True,
) -> None:
    """Measure, in turn, and tell."""
    if context.invoked_subcommand:
        return
    plan = Plan(rounds, seconds, pages, tuple(only or ()))
    machine = described()  # first, because a picture that is drawn anew would be a change to the commit
    reports = {name: _measure(name, plan) for name in scenario or SCENARIOS}
    if as_markdown:
        for report in reports.values():
            typer.echo(f"{markdown(report)}\n")
    for report in reports.values():
        if picture and report.bars:
            picture.write_text(
                plot.drawn("CPU for a page of seven calls, µs, on a logarithmic scale", report.bars), encoding="utf-8"
            )
    if keep:
        _keep(plan, reports, machine)


@app.command()
def profile(
    seconds: Seconds = 10.0,
    file: Annotated[Path | None, typer.Option(help="Where to; profile.svg, .json or .txt by default.")] = None,
    kind: Annotated[str, typer.Option("--format", help=", ".join(FORMATS))] = "flamegraph",
    native: Annotated[bool, typer.Option("--native", help="Show compiled code too.")] = False,
    rate: Annotated[int, typer.Option(min=1, help="Samples a second.")] = 200,
) -> None:
    """Show where the gateway's time goes, under the load of the page."""
    if kind not in FORMATS:
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(FORMATS)}")
    file = file or Path(f"profile.{FORMATS[kind]}")
    record(Plan(seconds=seconds), file, kind=kind, native=native, rate=rate)
    Console().print(f"written to {file}", highlight=False)


def _measure(name: str, plan: Plan) -> Report:
    if name not in SCENARIOS:
        raise typer.BadParameter(f"there is no scenario {name!r}; there are: {', '.join(SCENARIOS)}")
    report = SCENARIOS[name](plan)
    plan.console.print(table(report))
    for note in report.notes:
        plan.console.print(note, markup=False, soft_wrap=True)
    return report


def _keep(plan: Plan, reports: dict[str, Report], machine: results.Machine) -> None:
    now = datetime.now().astimezone()
    plan.console.print(f"kept as {results.write(plan, reports, machine, now)}", soft_wrap=True)
    if results.is_whole(plan, reports):
        plan.console.print(f"and in short as {results.write_latest(reports, machine, now)}", soft_wrap=True)
    else:
        plan.console.print("latest.json stays as it was, because not every scenario and every peer was asked for")


def main() -> None:
    """Run a command. What makes a run worthless is one clear line, and exit status 1."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that everything started is ended
    if not load.is_here():
        sys.exit(f"bench: {_WRK}")
    try:
        app()
    except (load.Void, NotStarted, NotWatched) as error:
        sys.exit(f"bench: {error}")
