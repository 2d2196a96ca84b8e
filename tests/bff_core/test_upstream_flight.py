"""A call under way without a task: who continues it, who may leave, and what it leaves behind."""

import asyncio
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from bff_core.composition import Composition
from bff_core.context import RequestContext
from bff_core.services.catalog import Catalog
from bff_core.settings import UpstreamSettings
from bff_core.upstream import Flight, Upstream
from bff_core.wire.http1 import Http1Wire
from bff_core.wire.promise import Promise
from tests.bff_core.raw_server import RawServer, said

name: ContextVar[str] = ContextVar("name", default="nobody")


def promise() -> Promise[Any]:
    return Promise(asyncio.get_running_loop(), lambda: forgotten.append(True))


forgotten: list[bool] = []


def flight_of(life: Any) -> tuple[Flight[Any], list[Flight[Any]]]:
    landed: list[Flight[Any]] = []
    flight = Flight(life, copy_context(), landed.append)
    return flight, landed


async def test_it_goes_on_at_once_on_the_stack_of_whoever_keeps_the_promise() -> None:
    first, second = promise(), promise()

    async def life() -> list[str]:
        return [await first, await second]

    flight, landed = flight_of(life())
    flight.start()
    first.keep("a")
    assert not landed
    second.keep("b")
    assert landed == [flight]
    assert flight.result() == ["a", "b"]


async def test_it_goes_on_in_the_context_it_was_made_with() -> None:
    wait = promise()

    async def life() -> str:
        await wait
        return name.get()

    name.set("alice")
    flight, _ = flight_of(life())
    name.set("bob")
    flight.start()
    wait.keep(None)
    assert flight.result() == "alice"
    assert name.get() == "bob"


async def test_what_the_life_fails_with_is_raised_where_the_result_is_asked_for() -> None:
    async def life() -> None:
        raise KeyError("x")

    flight, landed = flight_of(life())
    flight.start()
    assert landed == [flight]
    with pytest.raises(KeyError):
        flight.result()


async def test_giving_up_ends_the_life_before_it_returns_and_its_cleaning_up_too() -> None:
    cleaned = []

    async def life() -> None:
        try:
            await promise()
        finally:
            cleaned.append(True)

    flight, landed = flight_of(life())
    flight.start()
    forgotten.clear()
    flight.cancel()
    assert (forgotten, cleaned, landed) == ([True], [True], [flight])
    with pytest.raises(asyncio.CancelledError):
        flight.result()


async def test_giving_up_what_has_landed_changes_nothing() -> None:
    async def life() -> int:
        return 1

    flight, landed = flight_of(life())
    flight.start()
    flight.cancel()
    assert (flight.result(), landed) == (1, [flight])


async def test_it_may_await_what_asyncio_knows() -> None:
    async def life() -> str:
        await asyncio.sleep(0)
        await asyncio.sleep(1)
        return "slept"

    arrived = asyncio.get_running_loop().create_future()
    Flight(life(), copy_context(), arrived.set_result).start()
    assert (await arrived).result() == "slept"


async def test_a_promise_that_was_kept_before_is_not_waited_for() -> None:
    kept = promise()
    kept.keep(5)
    kept.keep(6)
    kept.break_(KeyError())

    async def life() -> int:
        return await kept + await kept

    flight, _ = flight_of(life())
    flight.start()
    assert flight.result() == 10


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
                parts = [page.required(f"p{number}", catalog.products(["x"])) for number in range(7)]
                tasks = asyncio.all_tasks() - before
                answering.set()
            assert [part.value for part in parts] == [[]] * 7
        assert tasks == set()  # the second time: the first one had to connect
        await wire.close()
