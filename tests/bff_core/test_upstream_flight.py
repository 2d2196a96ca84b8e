"""A call under way without a task: who continues it, who may leave, and what it leaves behind."""

import asyncio
from collections.abc import Hashable
from contextvars import ContextVar
from math import inf
from time import monotonic
from typing import Any

import pytest

from bff_core.composition import Composition
from bff_core.context import RequestContext
from bff_core.errors import BadStatus
from bff_core.services.catalog import Catalog
from bff_core.settings import UpstreamSettings
from bff_core.upstream import Flight, Upstream
from bff_core.wire import Request
from bff_core.wire.http1 import Http1Wire
from bff_core.wire.promise import Promise
from tests.bff_core.raw_server import RawServer, said
from tests.bff_core.scripted import Shop

name: ContextVar[str] = ContextVar("name", default="nobody")


def promise() -> Promise[Any]:
    return Promise(asyncio.get_running_loop(), lambda: forgotten.append(True))


forgotten: list[bool] = []


class Waiting:
    """A passenger that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def landed(self, flight: Flight[Any]) -> None:
        self.told.append(flight.value if flight.error is None else flight.error)


def take_off(life: Any, until: float = inf) -> tuple[Flight[Any], Waiting]:
    waiting = Waiting()
    flight: Flight[Any] = Flight(waiting, until, monotonic)
    flight.start(life)
    return flight, waiting


async def test_it_goes_on_at_once_on_the_stack_of_whoever_keeps_the_promise() -> None:
    first, second = promise(), promise()

    async def life() -> list[str]:
        return [await first, await second]

    flight, passenger = take_off(life())
    first.keep("a")
    assert not passenger.told
    second.keep("b")
    assert passenger.told == [["a", "b"]]
    assert flight.done


async def test_it_goes_on_in_the_context_it_was_started_in() -> None:
    wait = promise()

    async def life() -> str:
        await wait
        return name.get()

    name.set("alice")
    _, passenger = take_off(life())
    name.set("bob")
    wait.keep(None)
    assert passenger.told == ["alice"]
    assert name.get() == "bob"


async def test_what_the_life_fails_with_is_what_its_passenger_is_told() -> None:
    async def life() -> None:
        raise KeyError("x")

    _, passenger = take_off(life())
    assert [type(told) for told in passenger.told] == [KeyError]


async def test_the_last_one_to_leave_ends_the_life_before_it_has_left_and_its_cleaning_up_too() -> None:
    cleaned = []

    async def life() -> None:
        try:
            await promise()
        finally:
            cleaned.append(True)

    flight, first = take_off(life())
    second = Waiting()
    flight.board(second, inf)
    forgotten.clear()
    flight.leave(first)
    assert (forgotten, cleaned, flight.done) == ([], [], False)
    flight.leave(second)
    assert (forgotten, cleaned, flight.done) == ([True], [True], True)
    assert first.told == second.told == []


async def test_who_leaves_twice_takes_nobody_along() -> None:
    wait = promise()
    flight, first = take_off(_wait(wait))
    second = Waiting()
    flight.board(second, inf)
    for _ in range(2):
        flight.leave(first)
    wait.keep("here")
    assert (first.told, second.told) == ([], ["here"])


async def test_who_leaves_twice_does_not_disturb_the_cleaning_up() -> None:
    cleaned = []

    async def life() -> None:
        try:
            await promise()
        finally:
            await asyncio.sleep(1)
            cleaned.append(True)

    flight, passenger = take_off(life())
    for _ in range(3):
        flight.leave(passenger)
        await asyncio.sleep(0)
    assert not flight.done
    await asyncio.sleep(2)
    assert cleaned == [True]
    assert flight.done


async def test_who_leaves_in_the_turn_in_which_a_pause_has_ended_is_heard_all_the_same() -> None:
    went_on = []

    async def life() -> None:
        await asyncio.sleep(1)
        went_on.append(True)

    flight, passenger = take_off(life())
    asyncio.get_running_loop().call_at(1, flight.leave, passenger)  # just after the timer of the pause
    await asyncio.sleep(2)
    assert flight.done
    assert not went_on


async def test_leaving_what_has_landed_changes_nothing() -> None:
    async def life() -> int:
        return 1

    flight, passenger = take_off(life())
    flight.leave(passenger)
    assert (flight.value, passenger.told) == (1, [1])


async def test_what_cannot_be_taken_back_goes_on_when_nobody_waits() -> None:
    wait = promise()
    flight, passenger = take_off(_wait(wait))
    flight.lasting = (Request("POST", "/orders"),)
    flight.leave(passenger)
    assert flight.deserted
    assert not flight.done
    wait.keep("done")
    assert (flight.value, passenger.told) == ("done", [])


async def test_what_could_not_be_taken_back_ends_all_the_same_where_nothing_of_it_was_sent() -> None:
    flight, passenger = take_off(_wait(promise()))
    flight.lasting = (Request("POST", "/orders", unsent=True),)
    flight.leave(passenger)
    assert isinstance(flight.error, asyncio.CancelledError)


async def test_everyone_who_has_boarded_gets_a_list_and_an_error_of_its_own() -> None:
    wait = promise()
    flight, first = take_off(_wait(wait))
    second = Waiting()
    flight.board(second, inf)
    wait.keep([1])
    assert first.told == second.told == [[1]]
    assert first.told[0] is not second.told[0]

    wait = promise()
    flight, first = take_off(_wait(wait))
    flight.board(second, inf)
    wait.break_(BadStatus("shop", 503))
    error, other = first.told[0], second.told[1]
    assert error is not other
    assert (type(error), str(error), error.upstream_status) == (type(other), str(other), other.upstream_status)


async def test_it_is_found_by_those_who_ask_for_the_same_until_it_has_landed_or_is_given_up() -> None:
    sky: dict[Hashable, Flight[Any]] = {}
    for end in ("landed", "given up"):
        wait, passenger = promise(), Waiting()
        flight: Flight[Any] = Flight(passenger, inf, monotonic, sky, "key")
        flight.start(_wait(wait))
        assert sky == {"key": flight}
        if end == "landed":
            wait.keep(None)
        else:
            flight.leave(passenger)
        assert not sky


async def test_it_is_waited_for_until_the_last_moment_that_anyone_has() -> None:
    flight, _ = take_off(_wait(promise()), until=1.0)
    flight.board(Waiting(), 3.0)
    flight.board(Waiting(), 2.0)
    assert flight.until == 3.0


async def test_it_may_await_what_asyncio_knows() -> None:
    async def life() -> str:
        await asyncio.sleep(0)
        await asyncio.sleep(1)
        return "slept"

    flight, passenger = take_off(life())
    while not flight.done:
        await asyncio.sleep(0.5)
    assert passenger.told == ["slept"]


async def test_a_promise_that_was_kept_before_is_not_waited_for() -> None:
    kept = promise()
    kept.keep(5)
    kept.keep(6)
    kept.break_(KeyError())

    async def life() -> int:
        return await kept + await kept

    _, passenger = take_off(life())
    assert passenger.told == [10]


async def test_a_task_may_await_a_promise_and_be_cancelled() -> None:
    wait = promise()
    forgotten.clear()
    task = asyncio.create_task(_wait(wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert forgotten == [True]


async def test_a_task_that_is_cancelled_after_the_promise_was_kept_hears_of_it() -> None:
    wait = promise()
    task = asyncio.create_task(_wait(wait))
    await asyncio.sleep(0)
    wait.keep("too late to matter")
    assert task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _wait(wait: Promise[Any]) -> Any:
    return await wait


@pytest.mark.real_time
async def test_a_page_of_seven_calls_costs_no_task_once_its_connections_are_there() -> None:
    book = b"[]"
    answering = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await answering.wait()
            writer.write(said(book, headers=b"content-type: application/json\r\n"))

    async with RawServer(slow) as server:
        wire = Http1Wire()
        found = UpstreamSettings(instances=[str(server.instance)])
        catalog = Catalog(Upstream("catalog", found, wire, agent="test"))
        for _ in range(2):
            answering.clear()
            before = asyncio.all_tasks()
            async with Composition(RequestContext("r")) as page:
                parts = [page.required(f"p{number}", catalog.products([f"x{number}"])) for number in range(7)]
                tasks = asyncio.all_tasks() - before
                answering.set()
            assert [part.value for part in parts] == [[]] * 7
        assert tasks == set()  # the second time: the first one had to connect
        await wire.close()


@pytest.mark.real_time
async def test_an_order_that_still_connects_is_not_sent_once_its_client_has_left() -> None:
    arrived, heard = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def shakes_no_hand(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        heard.set_result(await reader.read())

    async with RawServer(shakes_no_hand) as server:
        wire = Http1Wire()
        found = UpstreamSettings(instances=[str(server.instance).replace("http:", "https:")], timeout="60s")
        upstream = Upstream("shop", found, wire, agent="test")
        order = asyncio.ensure_future(Shop(upstream).buy())
        await arrived.wait()
        order.cancel()
        hello = await asyncio.wait_for(heard, 5)  # and the end of the connection, long before the timeout
        assert hello.startswith(b"\x16\x03")
        assert (upstream.bulkhead.in_flight, upstream.tally.counts()) == (0, {"ours": 1})
        await wire.close()
