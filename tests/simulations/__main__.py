"""``python -m tests.simulations``: the pictures and figures of the guides, made anew."""

import logging
import time
from pathlib import Path

import typer

from tests.simulations import picture, trouble
from tests.simulations.choosers import Ours
from tests.simulations.comparison import CHOOSERS, table
from tests.simulations.many_instances import Machine, arrivals, lognormal, play
from tests.simulations.storm import BUDGET_ALONE, EVERYTHING, WITHOUT_BUDGET, storm

app = typer.Typer(add_completion=False, help="What the policies are for, simulated.")


@app.command("storm")
def draw_storm(file: Path) -> None:
    """Draw what becomes of a service that was dark for ten seconds."""
    three = {"without a budget": WITHOUT_BUDGET, "the budget alone": BUDGET_ALONE, "everything on": EVERYTHING}
    drawn = picture.drawn({name: storm(policies, 10, after=30) for name, policies in three.items()})
    file.write_text(drawn, "utf-8")


@app.command("trouble")
def draw_trouble(file: Path) -> None:
    """Draw what clients see of one instance that is slow and one that fails, of ten."""
    file.write_text(trouble.drawn({name: trouble.trouble(name) for name in CHOOSERS}), "utf-8")


@app.command("choosers")
def compare_choosers() -> None:
    """Print the table of three ways to choose an instance, in Markdown."""
    typer.echo(table(), nl=False)


@app.command("instances")
def choose_among_many() -> None:
    """Print what a pick costs among 10, 100 and 1,000 instances, and how evenly these are used."""
    for count, calls in {10: 100_000, 100: 100_000, 1000: 1_000_000}.items():
        start = time.perf_counter()
        played = play([Ours(count)], [Machine() for _ in range(count)], arrivals(5 * count, calls, lognormal(0.01)))
        took = (time.perf_counter() - start) / calls
        most = max(played.calls().values()) * count / calls
        typer.echo(f"{count:5,} instances: the busiest has {most:.2f} times the mean; {_each(count):.2f} us a pick")
        typer.echo(f"{calls:15,} calls, {1e6 * took:.1f} us each with all that is simulated of them")


def _each(count: int) -> float:
    """Microseconds, with what it takes to tell of an answer."""
    ours = Ours(count)
    start = time.perf_counter()
    for call in range(100_000):
        ours.balancer.pick(call / 1000).answered(0.01, call / 1000 + 0.01)
    return (time.perf_counter() - start) / 100_000 * 1e6


if __name__ == "__main__":
    logging.getLogger("bff.upstream").setLevel(logging.ERROR)
    app()
