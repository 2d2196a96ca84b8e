"""One SQLite file for each service, made when it is missing or was made from something else."""

import fcntl
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path

from demo.connection import database, read_only
from demo.services import SERVICES, Service
from demo.shop import PRODUCTS, SEED, Shop, open_shop


def prepare(
    folder: Path, products: int = PRODUCTS, seed: int = SEED, *, services: Iterable[str] = tuple(SERVICES)
) -> None:
    """Leave complete databases for these services in `folder`, at little cost when they are there already.

    Stores that start together in one folder wait for each other; a start that is killed leaves the old files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fingerprint = f"{_sources()}:{products}:{seed}"
    with alone(folder):
        stale = [name for name in services if _made_from(database(folder, name)) != fingerprint]
        if stale:
            shop = open_shop(products, seed)
            for name in stale:
                _make(database(folder, name), SERVICES[name], shop, fingerprint)


def _make(path: Path, service: Service, shop: Shop, fingerprint: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as db:
        db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE made_from (fingerprint);")
        db.executescript(service.SCHEMA)
        service.fill(db, shop)
        db.execute("INSERT INTO made_from VALUES (?)", (fingerprint,))
        db.commit()
    unfinished.replace(path)


def _made_from(path: Path) -> str | None:
    """The fingerprint of a database, None for anything that is not a finished one."""
    try:
        with closing(read_only(path)) as db:
            return str(db.execute("SELECT fingerprint FROM made_from").fetchone()[0])
    except (OSError, sqlite3.Error, TypeError):
        return None


@cache
def _sources() -> str:
    """A digest of the code and data that databases are made from: a version that nobody forgets to raise."""
    digest = blake2b(digest_size=8)
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.suffix in {".py", ".toml"}:
            digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else is in here with this folder."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
