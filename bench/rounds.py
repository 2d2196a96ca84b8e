"""Whose turn it is: everyone once a round, and nobody always first."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

__all__ = ["in_turn"]

T = TypeVar("T")


def in_turn(everyone: Sequence[T], rounds: int) -> Iterator[tuple[int, T]]:
    """Rounds from 1 on, and in each of them all of ``everyone``, beginning with the next."""
    for number in range(rounds):
        first = number % len(everyone)
        for one in [*everyone[first:], *everyone[:first]]:
            yield number + 1, one
