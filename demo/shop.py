"""Everything that is for sale in one run of the store, and the chance that decides the rest about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from demo.books import Book, handwritten
from demo.generate import invented

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)  # "now" for all generated dates, so that they never change
PRODUCTS = 200
SEED = 7


@dataclass(frozen=True)
class Shop:
    """A catalogue and a seed, from which each service makes its own data."""

    books: tuple[Book, ...]
    seed: int

    def chance(self, product_id: str, what: str) -> Random:
        """A random source for one matter of one product, the same however large the catalogue is."""
        return Random(f"{self.seed}:{product_id}:{what}")


def open_shop(products: int = PRODUCTS, seed: int = SEED) -> Shop:
    """The handwritten books and as many invented ones as it takes to reach `products`."""
    return Shop(tuple(_books(products, seed)), seed)


def _books(products: int, seed: int) -> Iterator[Book]:
    real = handwritten()
    yield from real
    for number in range(len(real) + 1, products + 1):
        yield invented(number, Random(f"{seed}:{number}:book"))
