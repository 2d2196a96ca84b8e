"""A service's reply that is handed on: what a client gets of it, and what happens when either side breaks off."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Header
from starlette.responses import Response

from bff_core.errors import Unreachable
from bff_core.routing import HandedOn
from bff_core.testing import SimulatedInternet
from bff_core.testing.internet import ASGIApp
from tests.bff_core.small_gateway import HOST, Store, Visit, small_gateway

router = APIRouter()


@router.get("/covers/{product_id}")
async def cover(product_id: str, store: Store, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    return HandedOn(await store.catalog.cover(product_id, "front", if_none_match=if_none_match))


def drawing(body: bytes = b"<svg/>", *, status: int = 200, **headers: str) -> ASGIApp:
    raw = {"content_type": "image/svg+xml", **headers}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in raw.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    return app


async def visited(app: ASGIApp | None, *headers: tuple[bytes, bytes]) -> Visit:
    internet = SimulatedInternet({"catalog.test": app} if app else {})
    return await Visit(small_gateway(router, internet), "/covers/pojos", headers=[HOST, *headers]).end()


class Pieces:
    """A reply whose pieces come when a test says so."""

    status = 200
    headers = ((b"content-type", b"image/svg+xml"),)

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = pieces
        self.go_on = asyncio.Semaphore(0)
        self.read = 0
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            await self.go_on.acquire()
            if isinstance(piece, Exception):
                raise piece
            self.read += 1
            yield piece

    async def close(self) -> None:
        self.closed += 1


def handing_on(reply: Pieces) -> APIRouter:
    pages = APIRouter()

    @pages.get("/")
    async def page() -> Response:
        return HandedOn(reply)

    return pages


async def test_status_body_and_the_headers_meant_for_clients_are_handed_on() -> None:
    visit = await visited(
        drawing(etag='"1"', cache_control="max-age=60", last_modified="yesterday", content_length="6")
    )
    assert (visit.status, visit.body) == (200, b"<svg/>")
    assert visit.values(b"content-type") == [b"image/svg+xml"]
    assert visit.values(b"content-length") == [b"6"]
    assert visit.values(b"etag") == [b'"1"']
    assert visit.values(b"cache-control") == [b"max-age=60"]
    assert visit.values(b"last-modified") == [b"yesterday"]


@pytest.mark.parametrize(
    "name",
    [
        "set-cookie", "server", "x-powered-by", "connection", "keep-alive", "transfer-encoding", "upgrade", "location",
        "x-request-id", "x-internal", "access-control-allow-origin", "content-security-policy", "www-authenticate",
        "strict-transport-security", "refresh", "link", "content-disposition", "via",
    ],
)  # fmt: skip
async def test_what_else_a_service_says_stays_between_it_and_us(name: str) -> None:
    visit = await visited(drawing(**{name: "theirs"}))
    assert visit.status == 200
    assert b"theirs" not in visit.values(name.encode())


async def test_a_picture_that_the_client_already_has_is_not_sent_again() -> None:
    internet = SimulatedInternet({"catalog.test": drawing(b"", status=304, etag='"1"')})
    headers = [HOST, (b"if-none-match", b'"1"')]
    visit = await Visit(small_gateway(router, internet), "/covers/pojos", headers=headers).end()
    assert (visit.status, visit.body, visit.values(b"etag")) == (304, b"", [b'"1"'])
    ((_, request),) = internet.requests
    assert (b"if-none-match", b'"1"') in request.headers


async def test_a_reply_without_a_body_promises_none() -> None:
    """Servers end the connection of a reply that is shorter than its ``Content-Length``, also of a 304."""
    visit = await visited(drawing(b"", status=304, content_length="6"))
    assert (visit.status, visit.values(b"content-length")) == (304, [])


@pytest.mark.parametrize(
    ("app", "status"),
    [
        (drawing(b"<script>", content_type="text/html"), 502),
        (drawing(content_type="image/svg+xml-not"), 502),
        (drawing(status=500), 502),
        (drawing(status=302, location="http://evil.test/"), 502),
        (drawing(status=404), 404),
        (drawing(status=429, retry_after="7"), 503),
        (None, 502),
    ],
)
async def test_what_is_not_what_was_asked_for_is_a_problem(app: ASGIApp | None, status: int) -> None:
    visit = await visited(app)
    assert visit.status == status
    assert visit.values(b"content-type") == [b"application/problem+json"]


async def test_each_piece_is_handed_on_before_the_next_one_is_there() -> None:
    reply = Pieces(b"one", b"two")
    visit = Visit(small_gateway(handing_on(reply)))
    for body in (b"one", b"onetwo"):
        reply.go_on.release()
        await asyncio.sleep(0.01)
        assert visit.body == body
    await visit.end()
    assert visit.whole
    assert reply.closed == 1


async def test_a_reply_that_breaks_off_ends_the_connection_and_does_not_pretend_to_be_whole() -> None:
    reply = Pieces(b"half", Unreachable("catalog", "gone"))
    visit = Visit(small_gateway(handing_on(reply)))
    reply.go_on.release()
    reply.go_on.release()
    with pytest.raises(Unreachable):
        await visit.end()
    assert (visit.body, visit.whole) == (b"half", False)
    assert reply.closed == 1


async def test_a_client_that_leaves_lets_go_of_the_service() -> None:
    reply = Pieces(b"one", b"two")
    visit = Visit(small_gateway(handing_on(reply)))
    reply.go_on.release()
    await asyncio.sleep(0.01)
    visit.leave()
    await visit.end()
    assert (reply.read, reply.closed, visit.whole) == (1, 1, False)


async def test_a_client_that_is_slow_slows_the_service_down() -> None:
    class Slow(Visit):
        async def _send(self, message: Any) -> None:
            await super()._send(message)
            await asyncio.sleep(0.1)

    reply = Pieces(*[b"piece"] * 10)
    for _ in range(10):
        reply.go_on.release()
    visit = Slow(small_gateway(handing_on(reply)))
    await asyncio.sleep(0.35)
    assert reply.read == 3
    await visit.end()
    assert visit.body == b"piece" * 10
