"""``python -m tests.simulations docs/storm.svg``: draws what becomes of a service that was dark for ten seconds."""

import logging
from pathlib import Path

import typer

from tests.simulations.picture import drawn
from tests.simulations.storm import BUDGET_ALONE, EVERYTHING, WITHOUT_BUDGET, storm


def main(picture: Path) -> None:
    """Draw three storms into ``picture``."""
    logging.getLogger("bff.upstream").setLevel(logging.ERROR)
    three = {"without a budget": WITHOUT_BUDGET, "the budget alone": BUDGET_ALONE, "everything on": EVERYTHING}
    picture.write_text(drawn({name: storm(policies, 10, after=30) for name, policies in three.items()}), "utf-8")


if __name__ == "__main__":
    typer.run(main)
