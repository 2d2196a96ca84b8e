"""What a page may rely on while it is composed. Everything runs in virtual time."""

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import pytest
from fastapi import APIRouter
from hypothesis import given
from hypothesis import strategies as st

from bff_core.composition import Composition
from bff_core.context import RequestContext, current
from bff_core.errors import BadReply, Forbidden, Reason, TimedOut, TooLate, Unreachable
from bff_core.principal import Principal
from bff_core.testing import HeldUpstream, SimulatedInternet, VirtualTimeLoop, run
from tests.bff_core.small_gateway import small_gateway


def request(seconds: float = 2.0, *, wanted: set[str] | None = None) -> RequestContext:
    """A request that has this long from now on."""
    now = asyncio.get_running_loop().time()
    return RequestContext("r", now, now + seconds, None if wanted is None else frozenset(wanted))


async def after(seconds: float, value: object = "there") -> object:
    await asyncio.sleep(seconds)
    return value


async def failing(error: BaseException, seconds: float = 0.0) -> object:
    await asyncio.sleep(seconds)
    raise error


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_parts_run_side_by_side_and_leaving_waits_for_all() -> None:
    async with Composition(request()) as page:
        one = page.required("one", after(0.3, 1))
        two = page.optional("two", after(0.2, 2))

    assert (one.value, two.value) == (1, 2)
    assert now() == pytest.approx(0.3)
    assert not page.completeness.missing


async def test_a_part_knows_all_that_its_page_knows_of_who_asks() -> None:
    asks = replace(
        request(),
        principal=Principal("i", "s"),
        challenges=("Bearer",),
        session="session",
        form_token="token",
        trace=((b"traceparent", b"00"),),
        unsure=TimedOut("id", "late"),
    )
    seen: list[RequestContext] = []

    async def looks() -> None:
        seen.append(current())

    async with Composition(asks) as page:
        page.required("one", looks())

    known = {one.name for one in fields(RequestContext)} - {"started", "until", "wanted", "outcomes", "for_anybody"}
    assert [getattr(seen[0], name) for name in known] == [getattr(asks, name) for name in known]


async def test_an_optional_part_that_fails_leaves_its_default_and_its_reason() -> None:
    async with Composition(request()) as page:
        page.required("product", after(0.1))
        rating = page.optional("rating", failing(Unreachable("reviews", "refused")), default="no stars")
        related = page.optional("related", failing(BadReply("catalog", "no JSON")))

    assert rating.value == "no stars"
    assert related.value is None
    assert page.completeness.missing == {"rating": Reason.UNAVAILABLE, "related": Reason.INVALID}


async def test_a_required_part_that_fails_ends_the_page_at_once_with_one_plain_error() -> None:
    cancelled = asyncio.Event()

    async def sibling() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            cancelled.set()

    with pytest.raises(Unreachable, match="catalog"):
        async with Composition(request()) as page:
            page.optional("slow", sibling())
            page.required("product", failing(Unreachable("catalog", "refused"), 0.1))

    assert now() == pytest.approx(0.1)
    assert cancelled.is_set()


async def test_the_first_of_several_required_failures_surfaces() -> None:
    with pytest.raises(TimedOut):
        async with Composition(request()) as page:
            page.required("late", failing(Unreachable("b", "refused"), 0.2))
            page.required("early", failing(TimedOut("a", "slow"), 0.1))


async def test_a_bug_in_an_optional_part_is_loud() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Composition(request()) as page:
            page.required("product", after(1))
            page.optional("related", failing(ZeroDivisionError()))


async def test_a_part_may_await_a_part() -> None:
    async def second() -> object:
        return f"after {await first}"

    async with Composition(request()) as page:
        first = page.required("first", after(0.1, "one"))
        then = page.optional("second", second())

    assert then.value == "after one"


async def test_awaiting_a_missing_part_gives_its_default() -> None:
    async def second() -> object:
        return f"after {await first}"

    async with Composition(request()) as page:
        first = page.optional("first", failing(Unreachable("a", "refused"), 0.1), default="nothing")
        then = page.optional("second", second())

    assert then.value == "after nothing"


async def test_awaiting_any_part_of_a_failed_page_raises_what_it_failed_with() -> None:
    with pytest.raises(Unreachable):
        async with Composition(request()) as page:
            slow = page.optional("slow", after(1))
            page.required("product", failing(Unreachable("catalog", "refused"), 0.1))
            await slow

    assert now() == pytest.approx(0.1)


async def test_a_waiter_that_gives_up_does_not_take_the_part_from_the_others() -> None:
    async def impatient() -> str:
        try:
            async with asyncio.timeout(0.05):
                await product
        except TimeoutError:
            return "gave up"
        return "waited"

    async with Composition(request()) as page:
        product = page.required("product", after(0.2, "book"))
        other = page.optional("other", impatient())

    assert (product.value, other.value) == ("book", "gave up")


async def test_an_optional_part_gets_half_of_what_is_left_unless_it_says_otherwise() -> None:
    async with Composition(request(2.0)) as page:  # stops waiting at 1.7
        page.required("product", after(0.1))
        half = page.optional("half", after(10))
        short = page.optional("short", after(10), within=0.2)

    assert (half.missing, short.missing) == (Reason.TIMEOUT, Reason.TIMEOUT)
    assert now() == pytest.approx(0.85)


async def test_within_counts_from_naming_the_part_and_never_beyond_the_page() -> None:
    async with Composition(request(2.0)) as page:
        page.required("product", after(0.1))
        await asyncio.sleep(0.5)
        late = page.optional("late", after(10), within=60)

    assert late.missing is Reason.TIMEOUT
    assert now() == pytest.approx(1.7)


async def test_a_page_stops_waiting_at_85_percent_of_its_deadline() -> None:
    with pytest.raises(TooLate):
        async with Composition(request(2.0)) as page:
            page.required("product", after(10))

    assert now() == pytest.approx(1.7)


async def test_a_part_sees_its_own_deadline_in_the_request() -> None:
    async def look() -> float:
        return current().until

    async with Composition(request(2.0)) as page:
        required = page.required("required", look())
        optional = page.optional("optional", look(), within=0.3)

    assert required.value == pytest.approx(1.7)
    assert optional.value == pytest.approx(0.3)
    assert current().until == float("inf")


async def test_a_page_without_a_deadline_waits_as_long_as_it_takes() -> None:
    async with Composition() as page:
        one = page.optional("one", after(10_000))

    assert one.value == "there"


async def test_what_is_not_wanted_is_not_started() -> None:
    started = []

    async def work() -> None:
        started.append("rating")

    async with Composition(request(wanted={"price"})) as page:
        page.required("product", after(0.1))
        price = page.optional("price", after(0.1, 5))
        rating = page.optional("rating", work())

    assert started == []
    assert (price.value, rating.value) == (5, None)
    assert page.completeness.parts == (("product", None), ("price", None), ("rating", Reason.SKIPPED))
    assert not page.completeness.missing  # what was not asked for is not missing


async def test_what_a_wanted_part_awaits_is_never_pruned() -> None:
    async def then() -> object:
        return await ids

    async with Composition(request(wanted={"related"})) as page:
        ids = page.optional("ids", after(0.1, [1, 2]))
        related = page.optional("related", then())

    assert related.value == [1, 2]
    assert page.completeness.parts == (("ids", None), ("related", None))


async def test_the_client_leaving_ends_everything_under_way() -> None:
    ended = []

    async def work(name: str) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(name)

    async def page() -> None:
        async with Composition(request(60)) as page:
            page.required("a", work("a"))
            page.optional("b", work("b"))

    task = asyncio.create_task(page())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert sorted(ended) == ["a", "b"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_error_in_the_block_ends_everything_under_way() -> None:
    with pytest.raises(KeyError):
        async with Composition(request()) as page:
            page.optional("a", after(1))
            raise KeyError

    assert now() == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_work_that_ignores_its_cancellation_cannot_hold_the_page_past_its_deadline(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ending = asyncio.Event()

    async def stubborn() -> None:
        while not ending.is_set():
            try:
                await ending.wait()
            except asyncio.CancelledError:
                continue

    with caplog.at_level(logging.WARNING):
        async with Composition(request(2.0)) as page:
            page.optional("stubborn", stubborn(), within=0.1)

    assert now() <= 2.0
    assert "part stubborn ignores its cancellation" in caplog.text
    ending.set()
    await asyncio.sleep(0)


async def test_work_cancelled_from_within_is_a_bug_and_no_hang() -> None:
    async def broken() -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled from within"):
        async with Composition(request()) as page:
            page.optional("broken", broken())


async def test_a_refusal_for_lack_of_rights_costs_the_part_alone() -> None:
    async with Composition(request()) as page:
        page.optional("purchases", failing(Forbidden()))

    assert page.completeness.missing == {"purchases": Reason.FORBIDDEN}


async def test_work_with_a_timeout_of_its_own_is_late_and_no_bug() -> None:
    async def hasty() -> None:
        async with asyncio.timeout(0.1):
            await asyncio.sleep(1)

    async with Composition(request()) as page:
        page.optional("hasty", hasty())

    assert page.completeness.missing == {"hasty": Reason.TIMEOUT}


@pytest.mark.parametrize(
    ("error", "reason"), [(Unreachable("a", "refused"), Reason.UNAVAILABLE), (TimeoutError(), Reason.TIMEOUT)]
)
async def test_what_a_task_group_expects_is_expected(error: Exception, reason: Reason) -> None:
    async def grouped() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(failing(error))
            group.create_task(after(1))

    async with Composition(request()) as page:
        page.optional("grouped", grouped())

    assert page.completeness.missing == {"grouped": reason}


async def test_a_task_group_with_a_bug_in_it_is_a_bug() -> None:
    async def grouped() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(failing(Unreachable("a", "refused")))
            group.create_task(failing(ZeroDivisionError()))

    with pytest.raises(ExceptionGroup):
        async with Composition(request()) as page:
            page.optional("grouped", grouped())


async def test_a_composition_within_a_part_is_its_own() -> None:
    async def inner() -> object:
        async with Composition() as page:
            teasers = page.optional("teasers", after(0.1, "books"))
        return teasers.value

    context = request(wanted={"related"})
    async with Composition(context) as page:
        related = page.optional("related", inner())

    assert related.value == "books"  # not pruned by a name the client cannot know
    assert context.outcomes == {"related": ""}


async def test_a_bug_in_cleaning_up_after_a_failed_page_is_not_swallowed(caplog: pytest.LogCaptureFixture) -> None:
    async def clumsy() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            raise ZeroDivisionError

    with pytest.raises(Unreachable):
        async with Composition(request()) as page:
            page.optional("clumsy", clumsy())
            page.required("product", failing(Unreachable("catalog", "refused"), 0.1))

    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("name", ["", "Price", "two words", "a;b=c", "a,b", "1st", "ünicode", "a\nb"])
async def test_a_part_is_named_by_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="part"):
        async with Composition(request()) as page:
            page.optional(name, after(0))


async def test_a_name_stands_for_one_part() -> None:
    with pytest.raises(ValueError, match="twice"):
        async with Composition(request()) as page:
            page.optional("a", after(0))
            page.optional("a", after(0))


async def test_completeness_is_told_to_the_request_when_the_page_is_whole_and_not_when_it_failed() -> None:
    context = request()
    async with Composition(context) as page:
        page.required("product", after(0))
        page.optional("rating", failing(TimedOut("reviews", "slow")))
    assert context.outcomes == {"product": "", "rating": ";missing=timeout"}

    context = request()
    with pytest.raises(TimedOut):
        async with Composition(context) as page:
            page.required("product", failing(TimedOut("catalog", "slow")))
    assert context.outcomes == {}


outcome = st.tuples(
    st.booleans(),  # required
    st.floats(0, 3),  # takes this long
    st.sampled_from(["value", "upstream", "bug"]),
    st.one_of(st.none(), st.floats(0, 3)),  # within
    st.integers(-1, 3),  # awaits the part named this many before
)


@given(st.lists(outcome, max_size=6), st.one_of(st.none(), st.floats(0, 2)))
def test_no_page_hangs_leaks_or_lies(parts: list, leaves_after: float | None) -> None:
    async def page() -> None:
        named = []

        async def work(takes: float, ends: str, awaits: int) -> str:
            if 0 <= awaits < len(named):
                await named[-1 - awaits]
            await asyncio.sleep(takes)
            if ends == "upstream":
                raise Unreachable("x", "refused")
            if ends == "bug":
                raise ZeroDivisionError
            return "value"

        async with Composition(request(2.0)) as page:
            for place, (required, takes, ends, within, awaits) in enumerate(parts):
                one = work(takes, ends, awaits)
                name = f"p{place}"
                part = page.required(name, one) if required else page.optional(name, one, within=within)
                named.append(part)
                await asyncio.sleep(0)
        for part, (required, *_) in zip(named, parts, strict=True):
            assert (part.value == "value") == (part.missing is None)
            assert not (required and part.missing)

    async def visit() -> None:
        task = asyncio.create_task(page())
        done, _ = await asyncio.wait({task}, timeout=leaves_after)
        if not done:
            task.cancel()
        with suppress(Unreachable, ZeroDivisionError, TooLate, asyncio.CancelledError):
            await task
        assert now() <= 2.001
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(visit())
    gc.collect()  # a coroutine that was never awaited would warn here, and a warning is an error


class CountingFutures(VirtualTimeLoop):
    made = 0

    def create_future(self):
        self.made += 1
        return super().create_future()


def test_a_page_whose_parts_are_all_there_before_it_is_left_makes_no_future() -> None:
    async def at_once(value: int) -> int:
        return value

    async def page(loop: CountingFutures) -> tuple[int, int]:
        async with Composition(request()) as page:
            one = page.required("one", at_once(1))
            two = page.optional("two", at_once(2))
            while not (one.done and two.done):
                await asyncio.sleep(0)
            before = loop.made
        return before, loop.made

    with asyncio.Runner(loop_factory=CountingFutures) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, CountingFutures)
        before, after_it = runner.run(page(loop))
    assert after_it == before


def test_a_page_without_parts_makes_no_future() -> None:
    async def page(loop: CountingFutures) -> int:
        before = loop.made
        async with Composition(request()):
            pass
        return loop.made - before

    with asyncio.Runner(loop_factory=CountingFutures) as runner:
        assert runner.run(page(runner.get_loop())) == 0


async def whole_page() -> None:
    async with Composition(request()) as page:
        first = page.required("first", after(0.1))
        page.optional("second", after(0.2))
        page.optional("third", awaiting(first))


async def awaiting(part: object) -> object:
    return await part


async def refused(seconds: float = 0.0) -> object:
    await asyncio.sleep(seconds)
    raise Unreachable("catalog", "refused")


async def lacking_page() -> None:
    async with Composition(request()) as page:
        page.required("product", after(0.1))
        page.optional("down", refused())
        page.optional("late", after(10), within=0.2)


async def failed_page() -> None:
    with suppress(Unreachable):
        async with Composition(request()) as page:
            slow = page.optional("slow", after(1))
            page.optional("waits", awaiting(slow))
            page.required("product", refused(0.1))


async def late_page() -> None:
    with suppress(TooLate):
        async with Composition(request()) as page:
            page.required("product", after(10))


async def left_page() -> None:
    task = asyncio.create_task(whole_page())
    await asyncio.sleep(0.15)
    task.cancel()
    await asyncio.wait([task])


async def pruned_page() -> None:
    async with Composition(request(wanted={"price"})) as page:
        page.optional("rating", after(0.1))
        page.optional("price", after(0.1))


internet = SimulatedInternet()
store = small_gateway(APIRouter(), internet).state.store


async def page_of_calls() -> None:
    await two_calls({"items": [], "total": 0})


async def page_of_failed_calls() -> None:
    await two_calls({"nonsense": True})


async def call_that_is_awaited() -> None:
    await awaited({"items": [], "total": 0})


async def failed_call_that_is_awaited() -> None:
    with suppress(BadReply):
        await awaited({"nonsense": True})


async def awaited(answer: Any) -> None:
    internet.hosts["catalog.test"] = held = HeldUpstream()
    answering = asyncio.ensure_future(held.asked())
    answering.add_done_callback(lambda asked: asked.result().answer(answer))
    await store.catalog.search("", cursor=None, limit=1)


async def left_page_of_calls() -> None:
    task = asyncio.create_task(held_calls(within=None))
    await asyncio.sleep(0.15)
    task.cancel()
    await asyncio.wait([task])


async def late_page_of_calls() -> None:
    await held_calls(within=0.1)


async def held_calls(within: float | None) -> None:
    internet.hosts["catalog.test"] = HeldUpstream()
    async with Composition(request()) as page:
        page.optional("found", store.catalog.search("", cursor=None, limit=1), within=within)
        page.optional("more", store.catalog.search("more", cursor=None, limit=1), within=within)


async def two_calls(answer: Any) -> None:
    internet.hosts["catalog.test"] = held = HeldUpstream()
    async with Composition(request()) as page:
        page.required("first", after(0.1))
        found = page.optional("found", store.catalog.search("", cursor=None, limit=1))
        page.optional("more", store.catalog.search("more", cursor=None, limit=1))
        for _ in range(2):
            (await held.asked()).answer(answer)
    assert (found.missing is None) == ("items" in answer)


PAGES = [
    whole_page,
    lacking_page,
    left_page,
    pruned_page,
    page_of_calls,
    left_page_of_calls,
    late_page_of_calls,
    call_that_is_awaited,
    failed_call_that_is_awaited,
]
FAILED = [failed_page, late_page, page_of_failed_calls]


@pytest.mark.parametrize("page", [*PAGES, *FAILED])
def test_a_page_leaves_nothing_for_the_collector(page: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def visits() -> list[str]:
        await page()
        gc.collect()
        gc.disable()
        gc.freeze()
        try:
            await page()
            await asyncio.sleep(10)  # until every moment is past
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
        finally:
            gc.set_debug(0)
            gc.unfreeze()
            gc.enable()
        left = [f"{type(one).__qualname__}: {str(one)[:150]}" for one in gc.garbage if is_ours(one)]
        gc.garbage.clear()
        return left

    assert run(visits()) == []


def is_ours(thing: object) -> bool:
    return type(thing).__module__.startswith("bff_core.") or type(thing).__name__ in {"coroutine", "frame", "Task"}


class Odd(BaseException):
    """Nothing that anyone expects."""


@pytest.mark.parametrize("odd", [Odd, GeneratorExit])
async def test_a_part_that_ends_in_no_way_a_part_can_ends_the_page_at_once(odd: type[BaseException]) -> None:
    async def work() -> None:
        raise odd

    with pytest.raises(RuntimeError, match=f"part odd ended with {odd.__name__}") as failed:
        async with Composition(request()) as page:
            page.optional("odd", work())
    assert isinstance(failed.value.__cause__, odd)
    assert asyncio.get_running_loop().time() == 0


async def test_a_composition_in_a_part_that_begins_late_has_85_percent_of_the_time_of_that_part() -> None:
    async def inner() -> tuple[object, object]:
        async with Composition() as page:
            quick = page.optional("quick", after(0.05))
            slow = page.optional("slow", after(0.18), within=1.0)
        return quick.value, slow.missing

    async with Composition(request()) as page:
        await asyncio.sleep(1.2)
        part = page.optional("inner", inner(), within=0.2)
    assert part.value == ("there", Reason.TIMEOUT)
    assert now() == pytest.approx(1.2 + 0.85 * 0.2)
