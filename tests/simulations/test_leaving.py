"""A client leaves, over sockets: what is under way for it ends at once, and everything that it held is back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request

from bff_core.composition import Composition
from bff_core.gateway import gateway
from bff_core.upstream import Upstream
from bff_core.wire.http1 import Http1Wire
from tests.bff_core.raw_server import RawServer, said
from tests.bff_core.scripted import Shop, well_known
from tests.bff_core.served import PATIENCE, Client, Served, get
from tests.bff_core.small_gateway import settings

pytestmark = pytest.mark.real_time

SOON = 0.1  # seconds
JSON = b"content-type: application/json\r\n"
BOOK = said(b'{"id": "pojos"}', headers=JSON)


class Desk:
    """A server that holds every request until it may go on, and tells who asked and who hung up."""

    def __init__(self) -> None:
        self.reply = BOOK
        self.asked: asyncio.Queue[bytes] = asyncio.Queue()
        self.hung_up: asyncio.Queue[bytes] = asyncio.Queue()
        self.go_on = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"POST"):
                await reader.readexactly(len(b'{"book":"pojos"}'))
            target = head.split()[1]
            self.asked.put_nowait(target)
            if not await self._stays(reader):
                self.hung_up.put_nowait(target)
                return
            writer.write(self.reply)

    async def _stays(self, reader: asyncio.StreamReader) -> bool:
        going_on, hanging_up = asyncio.create_task(self.go_on.wait()), asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({going_on, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
            return going_on.done()
        finally:
            going_on.cancel()
            hanging_up.cancel()
            await asyncio.wait({going_on, hanging_up})


@dataclass(frozen=True, slots=True)
class Clients:
    shop: Shop


async def _clients(request: Request) -> Clients:
    return request.app.state.store


Store = Annotated[Clients, Depends(_clients)]
router = APIRouter()


@router.get("/book")
async def book(store: Store) -> str:
    return (await store.shop.book()).id


@router.get("/page")
async def page(store: Store) -> str:
    async def chapters(of: Any) -> str:
        return (await store.shop.book("chapters")).id + (await of).id

    async with Composition() as page:
        found = page.required("book", store.shop.book())
        page.optional("more", store.shop.book("more"))
        page.optional("chapters", chapters(found))
    return found.value.id


@router.get("/order")
async def order(store: Store) -> str:
    return (await store.shop.buy()).id


class Place:
    """The gateway between clients and the desk."""

    def __init__(self, desk: Desk, app: FastAPI, served: Served, wire: Http1Wire) -> None:
        self.desk, self.served, self._wire = desk, served, wire
        self.shop: Upstream = app.state.store.shop.upstream

    async def visit(self, path: str, *targets: bytes) -> Client:
        """A client asks for a page, and the desk has what that asks for."""
        client = await self.served.ask(get(path))
        async with asyncio.timeout(PATIENCE):
            assert {await self.desk.asked.get() for _ in targets} == set(targets)
        assert self.shop.bulkhead.in_flight == len(targets)
        return client

    def connections(self) -> tuple[int, int]:
        """How many there are to the desk, and how many of them are idle."""
        pools = self._wire._pools.values()
        return sum(len(pool._all) for pool in pools), sum(len(pool._idle) for pool in pools)

    async def works(self) -> None:
        """The next client gets its page."""
        self.desk.go_on.set()
        client = await self.served.ask(get("/book"))
        assert (await client.reply()).body == b'"pojos"'
        assert self.shop.bulkhead.in_flight == 0
        assert self.connections() == (1, 1)


@asynccontextmanager
async def opened(**upstream: Any) -> AsyncIterator[Place]:
    desk, wire = Desk(), Http1Wire()
    async with RawServer(desk.serve) as server:
        found = settings(upstreams={"shop": {"instances": [str(server.instance)], "timeout": "1s", **upstream}})
        app = gateway(found, Clients, [router], wire=wire)
        async with Served(app) as served:
            yield Place(desk, app, served, wire)
        await wire.close()


@pytest.mark.parametrize("how", [Client.leave, Client.vanish])
@pytest.mark.parametrize(
    ("path", "targets"),
    [("/book", [b"/books/pojos"]), ("/page", [b"/books/pojos", b"/books/more", b"/books/chapters"])],
)
async def test_its_upstream_calls_end_within_a_tenth_of_a_second_and_permits_and_connections_are_back(
    path: str, targets: list[bytes], how: Callable[[Client], None]
) -> None:
    async with opened() as place:
        client = await place.visit(path, *targets)
        how(client)
        async with asyncio.timeout(SOON):
            assert {await place.desk.hung_up.get() for _ in targets} == set(targets)
        assert place.shop.bulkhead.in_flight == 0
        assert place.connections() == (0, 0)
        assert place.shop.tally.counts() == {"ours": len(targets)}
        await place.works()


async def test_both_attempts_of_a_hedged_call_end() -> None:
    async with opened(hedge={"enabled": True}) as place:
        well_known(place.shop, 0.02)
        client = await place.served.ask(get("/book"))
        async with asyncio.timeout(PATIENCE):
            for _ in range(2):
                await place.desk.asked.get()
        client.leave()
        async with asyncio.timeout(SOON):
            for _ in range(2):
                await place.desk.hung_up.get()
        assert place.shop.bulkhead.in_flight == 0
        await place.works()


async def test_while_someone_else_waits_for_the_same_it_goes_on() -> None:
    async with opened() as place:
        client = await place.visit("/book", b"/books/pojos")
        other = await place.served.ask(get("/book"))
        while not place.shop.tally.joined:
            await asyncio.sleep(0.001)
        client.leave()
        await asyncio.sleep(SOON)
        assert place.desk.hung_up.empty()
        place.desk.go_on.set()
        assert (await other.reply()).body == b'"pojos"'
        await place.works()


@pytest.mark.parametrize("how", [Client.leave, Client.vanish])
async def test_what_changes_something_and_was_sent_goes_on_and_gives_back_what_it_held(
    how: Callable[[Client], None],
) -> None:
    async with opened() as place:
        client = await place.visit("/order", b"/orders")
        how(client)
        await asyncio.sleep(2 * SOON)
        assert place.desk.hung_up.empty()
        assert place.shop.bulkhead.in_flight == 1
        place.desk.go_on.set()
        async with asyncio.timeout(SOON):
            while place.shop.bulkhead.in_flight:
                await asyncio.sleep(0.001)
        assert place.shop.tally.counts() == {"success": 1}
        await place.works()


async def test_what_changes_something_and_is_never_answered_ends_with_its_timeout() -> None:
    async with opened(timeout="300ms") as place:
        client = await place.visit("/order", b"/orders")
        client.leave()
        await asyncio.sleep(0.15)
        assert place.desk.hung_up.empty()
        async with asyncio.timeout(0.15 + SOON):
            await place.desk.hung_up.get()
        assert place.shop.tally.counts() == {"failure": 1}
        await place.works()
