"""The conformance tests of wires run once for each wire."""

from collections.abc import Iterator

import pytest

from tests.bff_core.raw_server import WIRES, Conforming


@pytest.fixture(params=WIRES, scope="module")
def each_wire(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which wire ``open_wire`` opens."""
    Conforming.kind = request.param
    yield request.param
    Conforming.kind = "httpx"
