"""The conformance tests of wires run once for each wire; and what is left for the garbage collector can be seen."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bff_core.postgres_server import MISSING, PostgresServer
from tests.bff_core.raw_server import WIRES, Conforming
from tests.bff_core.redis_server import MISSING as NO_REDIS
from tests.bff_core.redis_server import RedisServer


@pytest.fixture(params=WIRES, scope="module")
def each_wire(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which wire ``open_wire`` opens."""
    Conforming.kind = request.param
    yield request.param
    Conforming.kind = "httpx"


@pytest.fixture
def garbage() -> Iterator[Callable[[], list[str]]]:
    """What only the collector could take away since the test began, as far as it is ours."""
    gc.collect()
    gc.disable()
    gc.freeze()

    def found() -> list[str]:
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        gc.set_debug(0)
        names = [f"{type(one).__module__}.{type(one).__qualname__}: {str(one)[:200]}" for one in gc.garbage]
        gc.garbage.clear()
        return names

    yield found
    gc.set_debug(0)
    gc.garbage.clear()
    gc.unfreeze()
    gc.enable()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One for all tests, because making it takes a second."""
    if MISSING:
        pytest.skip(MISSING)
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/keys.db"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One for all tests that do not stop it."""
    if NO_REDIS:
        pytest.skip(NO_REDIS)
    with RedisServer() as server:
        yield server
