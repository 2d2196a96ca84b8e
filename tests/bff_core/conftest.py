"""The conformance tests of wires run once for each wire; and what is left for the garbage collector can be seen."""

import gc
from collections.abc import Callable, Iterator

import pytest

from tests.bff_core.raw_server import WIRES, Conforming


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
