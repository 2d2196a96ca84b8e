"""The gateway that is measured, in front of the upstream that needs nothing installed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.contenders import OURS, Place
from bench.upstream.started import upstream
from tests.processes import ask, free_ports, listens, process

pytestmark = pytest.mark.real


@pytest.fixture
def page() -> Iterator[str]:
    listen, admin = free_ports(2)
    with upstream(None, ours=True) as behind:
        env = OURS.env(Place(listen, admin, behind.port, Path()))
        with process("-m", "bff_core.cli", "run", "bench.page", env=env):
            listens(listen)
            yield f"http://127.0.0.1:{listen}/page/pojos-in-action"
            assert behind.calls() == 7


def test_a_page_has_seven_parts(page: str) -> None:
    status, headers, body = ask(page)
    item = json.loads((Path(__file__).parents[2] / "bench/upstream/item.json").read_bytes())
    parts = ["product", "price", "availability", "rating", "reviews", "related", "sellers"]

    assert (status, headers["page-parts"]) == (200, ", ".join(parts))
    assert body == dict.fromkeys(parts, item)
