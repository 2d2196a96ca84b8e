"""The service client in the guide is one."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from bff_core.cli.calls import Calls, look
from bff_core.errors import NotFound, Unreachable
from bff_core.services.client import Answer, ServiceClient, Tells, in_bulk
from bff_core.testing import SimulatedInternet
from bff_core.upstream import Call, Upstream
from bff_core.upstream_settings import UpstreamSettings
from tests.docs.reading import DOCS, blocks


class Wish(Answer):
    id: str


class NewWish(BaseModel):
    of: str


async def wishes_service(scope: Any, receive: Any, send: Any) -> None:
    """Knows ``one`` and ``two``."""
    known = [{"id": one} for one in ("one", "two")]
    answer = {"/wishes": known if scope["method"] == "GET" else known[0], "/wishes/one": known[0]}.get(scope["path"])
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200 if answer else 404, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


@pytest.fixture
def internet() -> SimulatedInternet:
    return SimulatedInternet({"wishes.test": wishes_service})


@pytest.fixture
def wishes(internet: SimulatedInternet) -> Any:
    """The client of the guide, on a service that knows two wishes."""
    (block,) = [block for block in blocks(DOCS / "writing-a-page.md", "python") if "ServiceClient" in block]
    needed = (Answer, Call, NewWish, Sequence, ServiceClient, Tells, Wish, in_bulk)
    names: dict[str, Any] = {thing.__name__: thing for thing in needed}
    exec(block, names)
    settings = UpstreamSettings(instances=["http://wishes.test"])
    return names["Wishes"](Upstream("wishes", settings, internet, agent="bff-test/1"))


async def test_what_it_reads(wishes: Any, internet: SimulatedInternet) -> None:
    assert await wishes.wish("one") == Wish(id="one")
    assert await wishes.wishes(["one", "two"]) == [Wish(id="one"), Wish(id="two")]
    with pytest.raises(NotFound):
        await wishes.wish("three")

    assert [request.target for _, request in internet.requests] == [
        *("/wishes/one", "/wishes?id=one&id=two", "/wishes/three"),
    ]


async def test_what_it_changes(wishes: Any, internet: SimulatedInternet) -> None:
    assert await wishes.added(NewWish(of="a book"), key="k1") == Wish(id="one")
    assert await wishes.changed("one", NewWish(of="a lamp")) == Wish(id="one")
    await wishes.removed("one")

    sent = [(request.method, request.target, request.body) for _, request in internet.requests]
    assert sent == [
        ("POST", "/wishes", b'{"of":"a book"}'),
        ("PUT", "/wishes/one", b'{"of":"a lamp"}'),
        ("DELETE", "/wishes/one", b""),
    ]
    assert (b"idempotency-key", b"k1") in list(internet.requests[0][1].headers)


async def test_what_is_safe_is_tried_again(wishes: Any, internet: SimulatedInternet) -> None:
    internet.hosts.clear()
    new = NewWish(of="a book")
    for call in (wishes.wish("one"), wishes.added(new, key="k1"), wishes.changed("one", new), wishes.removed("one")):
        with pytest.raises(Unreachable):
            await call

    assert len(internet.requests) == 4 * 3


def test_what_it_declares_is_seen_from_outside(wishes: Any) -> None:
    assert look([type(wishes)]) == Calls(hedged=True)
    assert wishes.wish("one").endpoint.tells
