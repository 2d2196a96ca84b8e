"""A store of two hundred products, made once, whose services are visited without a network."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import httpx
import pytest

from demo.app import create_service
from demo.database import prepare
from tests.identity import Identity

Visit = Callable[[str], httpx.AsyncClient]


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    prepare(folder)
    return folder


@pytest.fixture
def visit(store) -> Visit:
    """A client of the service of this name, on a Monday of 2027."""

    def client(name: str) -> httpx.AsyncClient:
        app = create_service(name, store, today=lambda: date(2027, 3, 1))
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{name}")

    return client


@pytest.fixture(scope="session")
def keys(tmp_path_factory) -> Path:
    """A folder in which a provider finds keys, because an RSA key takes long to make."""
    folder = tmp_path_factory.mktemp("identity")
    Identity(folder)
    return folder


@pytest.fixture
def identity(keys) -> Identity:
    """A provider that nobody has come to yet."""
    return Identity(keys)
