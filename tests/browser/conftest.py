"""The store and the browsers' gateway as processes, and a Chromium that looks at them."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

from tests.browser.browser import Browser, chromium
from tests.processes import free_ports, listens, process
from tests.store import SERVICES, SESSION_KEY, WEB_SECRET

Addresses = Mapping[str, str]


@pytest.fixture(scope="session")
def services(databases: Path) -> Iterator[Addresses]:
    """The store's services in one process: the name of each and its address."""
    with process("-m", "demo", "--port", "0", "--data", str(databases)) as store:
        assert store.stdout
        yield dict(line.split() for line in islice(store.stdout, len(SERVICES)))


@pytest.fixture(scope="session")
def gateway(services: Addresses) -> Iterator[str]:
    """The address of a gateway on them."""
    with _gateway(services) as address:
        yield address


@pytest.fixture
def another_gateway(services: Addresses) -> partial[AbstractContextManager[str]]:
    """Starts one that may meet failures, because what a gateway learns from them outlives the test."""
    return partial(_gateway, services)


@pytest.fixture(scope="session")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests, because starting it is what takes time."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("waits for chromium and chromedriver (Debian: chromium, chromium-driver)")
    with chromium(binary, driver, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(window: Browser, gateway: str) -> Browser:
    """The browser as a new visitor has it: light, 1280 pixels wide, with JavaScript."""
    window.home = gateway
    window.reset()
    return window


@contextmanager
def _gateway(services: Addresses) -> Iterator[str]:
    (port,) = free_ports(1)
    env = {f"BFF_WEB__UPSTREAMS__{name.upper()}__INSTANCES": json.dumps([url]) for name, url in services.items()}
    env |= {"BFF_WEB__SESSION__CLIENT_SECRET": WEB_SECRET, "BFF_WEB__SESSION__KEYS": SESSION_KEY}
    # quiet, because nobody reads what it logs, and a pipe that is full stops who writes into it
    words = ("--factory", "bffs.web.app:create", "--port", str(port), "--log-level", "warning")
    with process("-m", "uvicorn", *words, env=env):
        listens(port)
        yield f"http://127.0.0.1:{port}"
