"""Equal calls in flight share one attempt: which are equal, who may leave, and what each of them gets."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from bff_core.composition import Composition
from bff_core.errors import BadStatus, TooLate
from bff_core.services.client import Tells
from bff_core.testing import SimulatedInternet
from bff_core.testing.internet import ASGIApp
from bff_core.upstream import Call
from bff_core.upstream_settings import CircuitSettings, RetrySettings
from bffs.mobile.app import create
from tests.bff_core.scripted import (
    HANGING,
    Book,
    Other,
    ScriptedWire,
    Shop,
    ask,
    failing,
    fine,
    now,
    replying,
    request,
    shop,
    turns,
)
from tests.store import SERVICES, Store, client, settings


class Confidant(Shop):
    """Is told who asks."""

    tells = Tells.PRINCIPAL


def at_once(calls: list[Call[Any]]) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(ask(call)) for call in calls]


# pages


def unhurried(app: ASGIApp) -> ASGIApp:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.05)
        await app(scope, receive, send)

    return late


async def test_two_hundred_pages_of_one_product_ask_every_service_once(store: Store) -> None:
    internet = SimulatedInternet({f"{name}.test": unhurried(store.services[name]) for name in SERVICES})
    async with client(create(settings("mobile"), internet)) as phones:
        replies = await asyncio.gather(*[phones.get("/v1/products/pojos-in-action") for _ in range(200)])
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.text for reply in replies}) == 1
    assert "missing" not in replies[0].headers["page-parts"]
    asked = Counter((sent.host, request.target) for sent, request in internet.requests)
    assert set(asked.values()) == {1}
    assert len(asked) == 7  # of the catalog, the related ones in bulk too; of the sellers nothing


async def test_of_two_principals_each_has_an_answer_of_its_own_where_the_service_is_told_who_asks() -> None:
    said = ScriptedWire(fine(0.1)), ScriptedWire(fine(0.1))
    (public, _), (private, _) = shop(said[0]), shop(said[1], client=Confidant)

    async def page(principal: str) -> list[Any]:
        async with Composition(request(principal=principal)) as page:
            parts = [page.required("public", public.book()), page.optional("private", private.book())]
        return [part.value for part in parts]

    pages = await asyncio.gather(*[page(("alice", "bob")[number % 2]) for number in range(200)])
    assert pages == [[Book(id="pojos")] * 2] * 200
    assert [len(wire.attempts) for wire in said] == [1, 2]


async def test_who_is_unknown_shares_with_nobody_who_is_known() -> None:
    wire = ScriptedWire(fine(0.1))
    private, _ = shop(wire, client=Confidant)
    asking = [asyncio.create_task(ask(private.book(), request(principal=who))) for who in (None, "alice", None)]
    await asyncio.gather(*asking)
    assert len(wire.attempts) == 2


# who may leave


async def test_it_outlives_the_one_who_asked_first() -> None:
    wire = ScriptedWire(fine(0.3))
    buyer, _ = shop(wire)
    first, second = at_once([buyer.book(), buyer.book()])
    await asyncio.sleep(0.1)
    first.cancel()
    assert await second == Book(id="pojos")
    assert (now(), len(wire.attempts)) == (0.3, 1)


async def test_it_has_the_time_that_the_service_is_given_and_not_what_its_first_caller_has() -> None:
    wire = ScriptedWire(fine(0.3))
    buyer, upstream = shop(wire)
    hasty = asyncio.create_task(ask(buyer.book(), request(0.05)))
    patient = asyncio.create_task(ask(buyer.book(), request(2.0)))
    with pytest.raises(TooLate):
        await hasty
    assert now() == pytest.approx(0.05, abs=0.0101)
    assert await patient == Book(id="pojos")
    (attempt,) = wire.attempts
    assert (now(), attempt.until) == (0.3, 0.5)
    assert upstream.tally.counts() == {"success": 1}


async def test_everyone_waits_for_as_long_as_it_can_and_with_the_last_one_it_ends() -> None:
    wire = ScriptedWire(HANGING)
    buyer, upstream = shop(wire)
    gave_up: list[float] = []

    async def wait(seconds: float) -> None:
        with pytest.raises(TooLate):
            await ask(buyer.book(), request(seconds))
        gave_up.append(now())

    tasks = [asyncio.create_task(wait(seconds)) for seconds in (0.1, 0.4, 0.2, 0.3)]
    await asyncio.sleep(0.35)
    assert not wire.attempts[0].given_up
    await asyncio.gather(*tasks)
    assert gave_up == [pytest.approx(seconds, abs=0.0101) for seconds in (0.1, 0.2, 0.3, 0.4)]
    assert wire.attempts[0].given_up
    assert (len(wire.attempts), upstream.bulkhead.in_flight, upstream.tally.joined) == (1, 0, 3)


async def test_parts_of_pages_leave_one_by_one_too() -> None:
    wire = ScriptedWire(HANGING)
    buyer, upstream = shop(wire)

    async def page(within: float) -> None:
        async with Composition(request()) as page:
            page.optional("book", buyer.book(), within=within)
            page.optional("same", buyer.book(), within=within / 2)

    pages = [asyncio.create_task(page(within)) for within in (0.1, 0.2, 0.3)]
    await asyncio.sleep(0.25)
    assert (upstream.bulkhead.in_flight, wire.attempts[0].given_up) == (1, False)
    await asyncio.gather(*pages)
    assert (now(), upstream.bulkhead.in_flight, wire.attempts[0].given_up) == (0.3, 0, True)


async def test_who_comes_after_the_last_has_left_or_the_answer_is_there_is_the_first_again() -> None:
    wire = ScriptedWire(HANGING, fine(0.1))
    buyer, _ = shop(wire)
    (task,) = at_once([buyer.book()])
    await turns()
    task.cancel()
    await turns()
    await buyer.book()
    await buyer.book()
    assert [attempt.given_up for attempt in wire.attempts] == [True, False, False]


async def test_who_comes_in_the_turn_in_which_the_last_one_leaves_is_not_taken_along() -> None:
    wire = ScriptedWire(failing(status=429, retry_after=1), fine())
    buyer, _ = shop(wire)
    (last,) = at_once([buyer.book()])
    await asyncio.sleep(0.5)  # while it pauses
    (next_one,) = at_once([buyer.book()])
    last.cancel()
    assert await next_one == Book(id="pojos")
    assert wire.times == [0.0, 0.5]


async def test_they_share_what_is_tried_again_and_who_comes_during_the_pause_is_in_time() -> None:
    wire = ScriptedWire(failing(0.1, status=429, retry_after=1), fine(0.1))
    buyer, upstream = shop(wire)
    tasks = at_once([buyer.book(), buyer.book()])
    await asyncio.sleep(0.5)
    tasks += at_once([buyer.book()])
    assert await asyncio.gather(*tasks) == [Book(id="pojos")] * 3
    assert (len(wire.attempts), upstream.tally.retried) == (2, 1)


async def test_a_patient_one_who_comes_later_gives_the_others_the_time_for_another_attempt() -> None:
    wire = ScriptedWire(failing(0.2, status=429, retry_after=1), fine(0.1))
    buyer, _ = shop(wire)
    hasty = asyncio.create_task(ask(buyer.book(), request(0.5)))
    await asyncio.sleep(0.1)
    patient = asyncio.create_task(ask(buyer.book(), request(2.0)))
    with pytest.raises(TooLate):
        await hasty
    assert await patient == Book(id="pojos")


# which are equal


def also(headers: tuple[tuple[bytes, bytes], ...]) -> Callable[[Shop], Call[Any]]:
    def make(client: Shop) -> Call[Any]:
        call = client.book()
        call.headers = headers
        return call

    return make


DIFFERENT: dict[str, tuple[Callable[[Shop], Call[Any]], Callable[[Shop], Call[Any]]]] = {
    "targets": (lambda client: client.book("a"), lambda client: client.book("b")),
    "queries": (lambda client: client.books(["a"]), lambda client: client.books(["a", "b"])),
    "headers": (also(((b"accept-language", b"de"),)), also(((b"accept-language", b"en"),))),
    "a header and none": (also(((b"accept-language", b"de"),)), also(())),
    "models": (
        lambda client: client.book(),
        lambda client: client.get("/books/{book_id}", book_id="pojos", returns=Other),
    ),
    "whom a rejection names": (
        lambda client: client.book(),
        lambda client: client.get("/books/{book_id}", book_id="pojos", returns=Book, rejection_names="id"),
    ),
    "downloads": (lambda client: client.picture(), lambda client: client.picture()),
    "POST": (lambda client: client.buy(), lambda client: client.buy()),
    "POST with a key": (lambda client: client.buy("key"), lambda client: client.buy("key")),
    "PUT": (lambda client: client.shelve(), lambda client: client.shelve()),
    "DELETE": (lambda client: client.discard(), lambda client: client.discard()),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
async def test_what_differs_or_changes_something_or_is_read_at_ones_own_pace_is_never_shared(pair: Any) -> None:
    wire = ScriptedWire(replying({"id": "x"}, after=0.1))
    buyer, upstream = shop(wire)
    await asyncio.gather(*at_once([make(buyer) for make in pair]), return_exceptions=True)
    assert (len(wire.attempts), upstream.tally.joined) == (2, 0)


async def test_what_is_sent_of_the_request_itself_makes_no_difference() -> None:
    wire = ScriptedWire(fine(0.1))
    buyer, upstream = shop(wire)
    contexts = [request(seconds) for seconds in (1.0, 2.0, 3.0)]
    for number, context in enumerate(contexts):
        context.request_id = f"id-{number}"
    await asyncio.gather(*[asyncio.create_task(ask(buyer.book(), context)) for context in contexts])
    assert (len(wire.attempts), upstream.tally.joined) == (1, 2)


async def test_it_can_be_turned_off() -> None:
    wire = ScriptedWire(fine(0.1))
    buyer, upstream = shop(wire, coalesce=False)
    await asyncio.gather(*at_once([buyer.book()] * 3))
    assert (len(wire.attempts), upstream.tally.joined) == (3, 0)


# what each of them gets


async def test_everyone_has_a_list_of_its_own() -> None:
    wire = ScriptedWire(replying([{"id": "a"}], after=0.1))
    buyer, _ = shop(wire)
    lists = await asyncio.gather(*at_once([buyer.books(["a"])] * 3))
    lists[0].clear()
    assert lists[1:] == [[Book(id="a")]] * 2
    lists[1].append(Book(id="b"))
    assert lists[2] == [Book(id="a")]
    assert len(wire.attempts) == 1


async def test_everyone_has_a_failure_of_its_own_and_it_counts_once() -> None:
    wire = ScriptedWire(failing(0.1))
    buyer, upstream = shop(wire, retry=RetrySettings(attempts=0), circuit=CircuitSettings(attempts=2))
    failures = await asyncio.gather(*at_once([buyer.book()] * 20), return_exceptions=True)
    assert {(type(failure), str(failure)) for failure in failures} == {(BadStatus, "shop: answered 503")}
    assert len({id(failure) for failure in failures}) == 20
    assert upstream.tally.counts() == {"failure": 1}
    assert upstream.circuit.opened == 0
