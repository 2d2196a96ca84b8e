"""A request ends by its deadline, whatever its page does."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, BackgroundTasks
from fastapi.responses import StreamingResponse

from bff_core.errors import TooLate
from tests.bff_core.small_gateway import Visit, small_gateway

router = APIRouter()
done = asyncio.Event()


@router.get("/waits")
async def waits() -> None:
    await asyncio.sleep(3600)


@router.get("/streams")
async def streams() -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.sleep(3600)

    return StreamingResponse(pieces())


@router.get("/works-on")
async def works_on(later: BackgroundTasks) -> str:
    async def work() -> None:
        await asyncio.sleep(60)
        done.set()

    done.clear()
    later.add_task(work)
    return "answered"


@router.get("/times-out")
async def times_out() -> None:
    raise TimeoutError


async def test_a_page_that_waits_for_something_of_its_own_is_a_504() -> None:
    app = small_gateway(router)
    visit = await Visit(app, "/waits").end()

    assert visit.status == 504
    assert asyncio.get_running_loop().time() == pytest.approx(app.state.settings.deadline, abs=0.006)


async def test_a_reply_that_has_begun_is_broken_off() -> None:
    with pytest.raises(TooLate):
        await Visit(small_gateway(router), "/streams").end()


async def test_what_goes_on_after_the_answer_has_all_the_time_it_wants() -> None:
    visit = await Visit(small_gateway(router), "/works-on").end()

    assert visit.status == 200
    assert done.is_set()


async def test_a_timeout_that_is_not_the_deadline_is_a_bug_of_the_page() -> None:
    assert (await Visit(small_gateway(router), "/times-out").end()).status == 500


async def test_a_request_that_was_answered_is_not_kept_until_its_deadline() -> None:
    app = small_gateway(router)
    visit = await Visit(app, "/nowhere").end()
    gc.collect()  # the page's own affairs are not what this is about
    known = weakref.ref(visit)
    del visit

    assert known() is None
