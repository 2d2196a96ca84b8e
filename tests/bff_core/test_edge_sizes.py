"""How much a client may send, and that it is told so."""

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, Request

from bff_core.edge.json_body import StrictRoute
from tests.bff_core.small_gateway import HOST, Visit, small_gateway

router = APIRouter(route_class=StrictRoute)
JSON = (b"content-type", b"application/json")


@router.get("/{path:path}")
async def page(path: str) -> dict:
    return {}


@router.post("/upload")
async def upload(request: Request) -> int:
    return len(await request.body())


@router.post("/json")
async def read(body: list[int]) -> int:
    return len(body)


def chunks(size: int, *, of: int = 1000) -> Iterator[bytes]:
    while size > 0:
        yield bytes(min(of, size))
        size -= of


def target(length: int) -> str:
    return "/?" + "x" * (length - 1)  # the mark between path and query is not counted


@pytest.mark.parametrize(("length", "status"), [(8192, 200), (8193, 414)])
async def test_a_target_may_have_8_kib(length: int, status: int) -> None:
    visit = await Visit(small_gateway(router), target(length)).end()
    assert visit.status == status
    path = await Visit(small_gateway(router), "/" + "x" * (length - 1)).end()
    assert path.status == status


@pytest.mark.parametrize(("number", "status"), [(100, 200), (101, 431), (10_000, 431)])
async def test_a_request_may_have_100_headers(number: int, status: int) -> None:
    headers = [HOST, *[(b"a", b"b")] * (number - 1)]
    assert (await Visit(small_gateway(router), headers=headers).end()).status == status


@pytest.mark.parametrize(("size", "status"), [(32 * 1024, 200), (32 * 1024 + 1, 431)])
async def test_a_header_block_may_have_32_kib(size: int, status: int) -> None:
    host = len(HOST[0]) + len(HOST[1]) + 4
    headers = [HOST, (b"a", b"x" * (size - host - 5))]
    assert (await Visit(small_gateway(router), headers=headers).end()).status == status


@pytest.mark.parametrize("path", ["/upload", "/json", "/nowhere"])
async def test_a_body_that_says_it_is_too_large_is_refused_unread(path: str) -> None:
    headers = [HOST, JSON, (b"content-length", b"1001")]
    app = small_gateway(router, sizes={"body": 1000})
    visit = await Visit(app, path, method="POST", headers=headers, body=chunks(1001)).end()
    assert visit.status == 413
    assert b"/problems/too-large" in visit.body
    assert visit.received == 0


@pytest.mark.parametrize("path", ["/upload", "/json"])
async def test_a_body_that_says_nothing_is_counted_as_it_is_read(path: str) -> None:
    headers = [HOST, JSON, (b"transfer-encoding", b"chunked")]
    app = small_gateway(router, sizes={"body": 1000})
    visit = await Visit(app, path, method="POST", headers=headers, body=chunks(1_000_000, of=100)).end()
    assert visit.status == 413
    assert b"/problems/too-large" in visit.body
    assert visit.received < 20


async def test_a_body_that_is_longer_than_it_said_is_refused_as_well() -> None:
    headers = [HOST, (b"content-length", b"10")]
    app = small_gateway(router, sizes={"body": 1000})
    visit = await Visit(app, "/upload", method="POST", headers=headers, body=chunks(10_000)).end()
    assert visit.status == 413


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    app = small_gateway(router, sizes={"body": 1000})
    for headers in ([HOST], [HOST, (b"content-length", b"1000")]):
        visit = await Visit(app, "/upload", method="POST", headers=headers, body=chunks(1000, of=7)).end()
        assert (visit.status, visit.body) == (200, b"1000")
