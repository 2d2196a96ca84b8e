"""What the store sells, as facts: the books that people wrote, read from `books.toml`."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Book:
    """The facts of one book; `published` is a year or an ISO date."""

    id: str
    title: str
    authors: tuple[str, ...]
    publisher: str
    published: str
    pages: int
    subjects: tuple[str, ...]
    about: str
    subtitle: str | None = None
    language: str = "en"
    isbn13: str | None = None
    generated: bool = False


@cache
def handwritten() -> tuple[Book, ...]:
    """The real books, in the order of the file."""
    document = tomllib.loads(files("demo").joinpath("books.toml").read_text(encoding="utf-8"))
    return tuple(_book(entry) for entry in document["book"])


def _book(entry: dict[str, object]) -> Book:
    return Book(**{name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()})  # type: ignore[arg-type]
