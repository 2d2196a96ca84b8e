"""What every test stands on: virtual time, and the store's own services behind a simulated internet."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from bff_core.testing import VirtualTimeLoop
from demo.database import prepare
from tests.store import Store


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Time is virtual, except where real sockets are waited for."""
    if item.get_closest_marker("real_time") or item.get_closest_marker("real"):
        return {"real": uvloop.new_event_loop}
    return {"virtual": VirtualTimeLoop}


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store's databases, made once."""
    folder = tmp_path_factory.mktemp("store")
    prepare(folder)
    return folder


@pytest.fixture(scope="session")
def store(databases: Path) -> Store:
    """The store's services, without a network."""
    return Store(databases)
