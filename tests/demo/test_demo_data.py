"""Where the data comes from, and that it stays the same."""

import sqlite3
from contextlib import closing

import pytest

from demo.app import create_service
from demo.books import handwritten
from demo.connection import database, read_only
from demo.database import prepare
from demo.services import SERVICES


def _rows(folder, service):
    """Every row of a service as text, without the full-text index, which is one for all products."""
    with closing(sqlite3.connect(database(folder, service))) as db:
        return [
            line for line in db.iterdump() if not line.startswith(('INSERT INTO "made_from', 'INSERT INTO "words_'))
        ]


def test_there_are_many_real_books_each_with_an_id_of_its_own():
    assert len({book.id for book in handwritten()}) == len(handwritten()) >= 60


@pytest.mark.parametrize("book", handwritten(), ids=lambda book: book.id)
def test_the_facts_of_a_real_book_have_their_form(book):
    assert 2 <= len(book.subjects) <= 4
    assert 2 <= book.about.count(". ") + 1 <= 4
    assert 1970 < int(book.published[:4]) < 2027
    assert book.isbn13 is None or _checks(book.isbn13)


def _checks(isbn: str) -> bool:
    return len(isbn) == 13 and sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(isbn)) % 10 == 0


def test_the_same_seed_makes_the_same_data_and_another_seed_does_not(tmp_path):
    for folder, seed in (("one", 1), ("same", 1), ("other", 2)):
        prepare(tmp_path / folder, 90, seed)
    for service in SERVICES:
        assert _rows(tmp_path / "one", service) == _rows(tmp_path / "same", service)
        assert _rows(tmp_path / "one", service) != _rows(tmp_path / "other", service)


def test_what_is_said_of_a_product_does_not_depend_on_the_size_of_the_catalogue(tmp_path):
    prepare(tmp_path / "small", 90)
    prepare(tmp_path / "large", 120)
    for service in SERVICES:
        assert set(_rows(tmp_path / "small", service)) <= set(_rows(tmp_path / "large", service))


def test_databases_are_kept_until_size_or_seed_change(tmp_path):
    path = database(tmp_path, "pricing")
    prepare(tmp_path, 80)
    first = path.stat().st_ino
    prepare(tmp_path, 80)
    assert path.stat().st_ino == first
    prepare(tmp_path, 81)
    assert path.stat().st_ino != first


@pytest.mark.parametrize("junk", [b"", b"not a database", b"SQLite format 3\x00"])
def test_what_a_killed_start_left_behind_is_replaced(tmp_path, junk):
    database(tmp_path, "orders").write_bytes(junk)
    database(tmp_path, "orders").with_suffix(".unfinished").write_bytes(junk)
    prepare(tmp_path, 80, services=["orders"])
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "orders.sqlite"}
    with closing(read_only(database(tmp_path, "orders"))) as db:
        assert db.execute("SELECT count(*) FROM customers").fetchone()[0] > 2


def test_a_service_without_its_database_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="prepare"):
        create_service("orders", tmp_path)


def test_no_service_can_write(store):
    with closing(read_only(database(store, "orders"))) as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM orders")


def test_ten_thousand_products_are_made(tmp_path):
    prepare(tmp_path, 10_000, services=["catalog", "inventory"])
    with closing(read_only(database(tmp_path, "catalog"))) as db:
        assert db.execute("SELECT count(*), count(DISTINCT id) FROM products").fetchone()[:] == (10_000, 10_000)
