"""A client that goes away takes the work done for it along, and a client that stays loses nothing."""

import asyncio
import gc
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Request, WebSocket
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import StreamingResponse

from bff_core.composition import Composition
from bff_core.edge.departure import Departure
from bff_core.testing import HeldUpstream, SimulatedInternet, run
from tests.bff_core.small_gateway import HOST, Store, Visit, small_gateway


class Desk:
    """A router whose pages tell what became of them."""

    def __init__(self) -> None:
        self.router = APIRouter()
        self.began = asyncio.Event()
        self.ended: list[str] = []
        self.chunks = 0
        add = self.router.add_api_route
        add("/wait", self.wait)
        add("/stubborn", self.stubborn)
        add("/products/{product_id}", self.product)
        add("/composed/{product_id}", self.composed)
        add("/background", self.background)
        add("/stream", self.stream)
        add("/upload", self.upload, methods=["POST"])
        add("/ignore", self.wait, methods=["POST"])

    async def wait(self) -> str:
        self.began.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        return "done"

    async def stubborn(self) -> str:
        self.began.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        self.ended.append("anyway")
        return "done"

    async def product(self, product_id: str, store: Store) -> str:
        return (await store.catalog.product(product_id)).title

    async def composed(self, product_id: str, store: Store) -> Any:
        async with Composition() as page:
            product = page.required("product", store.catalog.product(product_id))
            page.optional("other", store.catalog.product("other"))
        return product.value

    async def background(self, tasks: BackgroundTasks) -> str:
        async def afterwards() -> None:
            await asyncio.sleep(60)
            self.ended.append("afterwards")

        tasks.add_task(afterwards)
        return "done"

    async def stream(self) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            try:
                for number in range(3600):
                    self.chunks = number
                    yield b"part"
                    self.began.set()
                    await asyncio.sleep(1)
            finally:
                self.ended.append("stream")

        return StreamingResponse(parts())

    async def upload(self, request: Request) -> str:
        digest = hashlib.sha256()
        async for chunk in request.stream():
            self.began.set()
            digest.update(chunk)
            await asyncio.sleep(0.01)
        return digest.hexdigest()


@pytest.fixture(autouse=True)
def _nothing_is_lost(caplog: pytest.LogCaptureFixture) -> Any:
    yield
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_client_that_leaves_ends_its_page_and_nobody_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    with caplog.at_level(logging.INFO, "bff.access"):
        visit = Visit(small_gateway(desk.router), "/wait")
        await desk.began.wait()
        visit.leave()
        await visit.end()
    assert desk.ended == ["cancelled"]
    assert visit.status is None
    (record,) = [record for record in caplog.records if record.name == "bff.access"]
    assert record.status == 499
    assert asyncio.get_running_loop().time() < 1
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("page", ["/products/pojos", "/composed/pojos"])
async def test_a_client_that_leaves_ends_the_calls_made_for_it(page: str) -> None:
    held = HeldUpstream()
    internet = SimulatedInternet({"catalog.test": held})
    app = small_gateway(Desk().router, internet)
    visit = Visit(app, page)
    await held.asked()
    assert internet.in_flight > 0
    visit.leave()
    await visit.end()
    await asyncio.sleep(0.001)  # the simulated network has tasks of its own to end
    assert internet.in_flight == 0
    assert asyncio.get_running_loop().time() < 0.1
    await asyncio.sleep(0)
    assert held.abandoned == len(internet.requests)
    assert len(asyncio.all_tasks()) == 1


async def test_a_page_that_will_not_be_stopped_runs_to_its_end_and_breaks_nothing() -> None:
    desk = Desk()
    visit = Visit(small_gateway(desk.router), "/stubborn")
    await desk.began.wait()
    visit.leave()
    await visit.end()
    assert desk.ended == ["anyway"]


async def test_a_client_that_leaves_in_the_middle_of_a_stream_ends_it() -> None:
    desk = Desk()
    visit = Visit(small_gateway(desk.router), "/stream")
    await desk.began.wait()
    visit.leave()
    await visit.end()
    assert desk.ended == ["stream"]
    assert desk.chunks < 3
    assert not visit.whole


async def test_what_runs_after_a_whole_reply_is_not_stopped_by_the_end_of_the_connection() -> None:
    desk = Desk()
    visit = await Visit(small_gateway(desk.router), "/background").end()  # says "disconnect" of a reply that is whole
    assert (visit.status, visit.body) == (200, b'"done"')
    assert desk.ended == ["afterwards"]


async def test_a_page_that_is_cancelled_from_elsewhere_stays_cancelled() -> None:
    desk = Desk()
    visit = Visit(small_gateway(desk.router), "/wait")
    await desk.began.wait()
    visit.work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await visit.end()


async def test_a_server_that_stops_while_the_client_leaves_is_not_ignored() -> None:
    desk = Desk()
    visit = Visit(small_gateway(desk.router), "/wait")
    await desk.began.wait()
    visit.leave()
    await asyncio.sleep(0)
    visit.work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await visit.end()


def chunks(number: int, size: int = 100) -> list[bytes]:
    random = Random(number)
    return [random.randbytes(size) for _ in range(number)]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 100])
async def test_a_body_in_many_chunks_arrives_whole_and_in_order(number: int) -> None:
    body = chunks(number) or [b""]
    visit = await Visit(small_gateway(Desk().router), "/upload", method="POST", body=body).end()
    assert visit.body.decode().strip('"') == hashlib.sha256(b"".join(body)).hexdigest()


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=8))
def test_any_body_arrives_whole_and_in_order(body: list[bytes]) -> None:
    async def upload() -> None:
        visit = await Visit(small_gateway(Desk().router), "/upload", method="POST", body=body).end()
        assert visit.body.decode().strip('"') == hashlib.sha256(b"".join(body)).hexdigest()

    run(upload())


async def test_a_departure_is_noticed_behind_a_body_that_nobody_reads() -> None:
    desk = Desk()
    visit = Visit(small_gateway(desk.router), "/ignore", method="POST", body=chunks(10))
    await desk.began.wait()
    await asyncio.sleep(0.5)  # all of it has arrived
    assert not visit.work.done()
    visit.leave()
    await asyncio.wait({visit.work}, timeout=0.1)
    assert visit.work.done()
    assert visit.headers == []


async def test_a_client_that_leaves_in_the_middle_of_its_body_ends_the_page() -> None:
    desk = Desk()

    class Leaving(Visit):
        async def _receive(self) -> dict[str, Any]:
            message = await super()._receive()
            return {**message, "more_body": True} if message["type"] == "http.request" else message

    visit = Leaving(small_gateway(desk.router), "/upload", method="POST", body=chunks(3))
    await desk.began.wait()
    visit.leave()
    await visit.end()
    assert visit.status is None


async def test_leaving_at_any_moment_leaves_nothing_behind() -> None:
    random = Random(1)
    held = HeldUpstream()
    internet = SimulatedInternet({"catalog.test": held})
    app = small_gateway(Desk().router, internet)

    async def visit(seconds: float) -> None:
        visit = Visit(app, "/products/x")
        await asyncio.sleep(seconds)
        visit.leave()
        await visit.end()
        assert visit.status in {None, 504}

    await asyncio.gather(*(visit(random.choice([0, 0, 0.1, 0.5, 0.5, 0.6])) for _ in range(200)))
    assert internet.in_flight == 0
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_a_departure_that_is_asked_for_again_is_told_again() -> None:
    told = []

    async def page(scope: Any, receive: Callable, send: Callable) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        for _ in range(3):
            told.append((await receive())["type"])  # noqa: PERF401

    visit = Visit(Departure(page), headers=[HOST])  # type: ignore[arg-type]
    await asyncio.sleep(0)
    visit.leave()
    await visit.end()
    assert told[-1] == "http.disconnect"


async def test_what_is_no_request_passes_by() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["type"], receive, send))

    await Departure(app)({"type": "websocket"}, WebSocket.receive, WebSocket.send)  # type: ignore[arg-type]
    assert seen == [("websocket", WebSocket.receive, WebSocket.send)]
