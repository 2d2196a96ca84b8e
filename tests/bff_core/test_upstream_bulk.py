"""Single calls that are made in one turn of the loop, by whatever page, and go out as one."""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import pytest

from bff_core.composition import Composition
from bff_core.context import current
from bff_core.errors import (
    BadReply,
    BadStatus,
    CircuitOpen,
    GatewayError,
    InvalidRequest,
    NotFound,
    Reason,
    Throttled,
    TimedOut,
    TooLate,
)
from bff_core.services.client import Tells, in_bulk
from bff_core.upstream import Call
from bff_core.upstream_settings import CircuitSettings, RetrySettings
from tests.bff_core.scripted import (
    HANGING,
    Attempt,
    Book,
    ScriptedWire,
    Shop,
    Step,
    ask,
    failing,
    now,
    replying,
    request,
    shop,
    turns,
    well_known,
)

ONCE = RetrySettings(attempts=0)


class Confidant(Shop):
    """Is told who asks."""

    tells = Tells.PRINCIPAL


def ids(attempt: Attempt) -> list[str]:
    """Those that were asked for at once, or the one that was."""
    path, _, query = attempt.request.target.partition("?")
    return [value for _, value in parse_qsl(query)] if query else [path.rpartition("/")[2]]


def knowing(attempt: Attempt, *, after: float = 0.1, unknown: Sequence[str] = ()) -> Step:
    """What a service says that knows every book but some."""
    found = [{"id": one} for one in ids(attempt) if one not in unknown]
    if "?" in attempt.request.target:
        return replying(found, after=after)
    return replying(found[0], after=after) if found else failing(after, status=404)


def library(**settings: Any) -> tuple[Shop, ScriptedWire]:
    wire = ScriptedWire(play=knowing)
    return shop(wire, **{"retry": ONCE, **settings})[0], wire


def failing_in_bulk(step: Step) -> ScriptedWire:
    return ScriptedWire(play=lambda attempt: step if "?" in attempt.request.target else knowing(attempt))


def at_once(client: Shop, *books: str) -> list[asyncio.Task[Book]]:
    return [asyncio.create_task(ask(client.one(book))) for book in books]


def kinds(ends: Sequence[Any]) -> list[Any]:
    return [type(end) if isinstance(end, Exception) else end for end in ends]


# what goes out


async def test_calls_of_several_pages_in_one_turn_go_out_as_one_and_everyone_gets_the_own() -> None:
    client, wire = library()

    async def page(*books: str) -> list[Book]:
        async with Composition(request()) as page:
            parts = [page.required(f"p{number}", client.one(book)) for number, book in enumerate(books)]
        return [part.value for part in parts]

    pages = await asyncio.gather(page("a", "b"), page("c"), page("b", "d"))
    assert [[book.id for book in books] for books in pages] == [["a", "b"], ["c"], ["b", "d"]]
    assert wire.targets == ["/books?id=a&id=b&id=c&id=d"]
    assert client.upstream.tally.counts() == {"success": 1}


async def test_one_that_is_alone_goes_by_itself() -> None:
    client, wire = library()
    assert await client.one("a") == Book(id="a")
    assert await client.one("b") == Book(id="b")
    assert wire.targets == ["/books/a", "/books/b"]


async def test_calls_of_several_turns_are_several() -> None:
    client, wire = library()
    tasks = at_once(client, "a", "b")
    await turns(3)
    tasks += at_once(client, "c", "d")
    await asyncio.gather(*tasks)
    assert wire.targets == ["/books?id=a&id=b", "/books?id=c&id=d"]


@pytest.mark.parametrize(
    ("number", "groups"),
    [(100, [100]), (101, [100, 1]), (200, [100, 100]), (250, [100, 100, 50]), (202, [100, 100, 2])],
)
async def test_at_most_a_hundred_go_at_once(number: int, groups: list[int]) -> None:
    client, wire = library()
    books = [f"b{index}" for index in range(number)]
    found = await asyncio.gather(*at_once(client, *books))
    assert [book.id for book in found] == books
    assert [len(ids(attempt)) for attempt in wire.attempts] == groups
    assert sorted(book for attempt in wire.attempts for book in ids(attempt)) == sorted(books)


async def test_long_names_go_in_several_calls_because_a_target_must_be_taken() -> None:
    for letter, calls in (("x", 3), ("é", 17)):
        client, wire = library()
        books = [f"{index:02}" + letter * 98 for index in range(100)]
        found = await asyncio.gather(*at_once(client, *books))
        assert [book.id for book in found] == books
        assert len(wire.attempts) == calls
        assert max(len(target) for target in wire.targets) < 8192


async def test_who_asks_for_the_same_shares_it_and_nothing_is_asked_for_twice() -> None:
    for coalesce in (True, False):
        client, wire = library(coalesce=coalesce)
        found = await asyncio.gather(*at_once(client, "a", "b", "a", "a", "b"))
        assert [book.id for book in found] == ["a", "b", "a", "a", "b"]
        assert wire.targets == ["/books?id=a&id=b"]


async def test_it_is_one_attempt_for_every_policy() -> None:
    client, wire = library(bulkhead={"limit": 1})
    await asyncio.gather(*at_once(client, "a", "b", "c"))
    assert len(wire.attempts) == 1
    assert client.upstream.bulkhead.in_flight == 0


async def test_where_the_service_is_told_who_asks_everyone_has_a_call_of_its_own() -> None:
    for kind, targets in (
        (Shop, ["/books?id=a&id=b&id=c&id=d"]),
        (Confidant, ["/books?id=a&id=c", "/books?id=b&id=d"]),
    ):
        wire = ScriptedWire(play=knowing)
        client, _ = shop(wire, client=kind)
        asking = [
            asyncio.create_task(ask(client.one(book), request(principal=who)))
            for who, book in (("alice", "a"), ("bob", "b"), ("alice", "c"), ("bob", "d"))
        ]
        assert [book.id for book in await asyncio.gather(*asking)] == ["a", "b", "c", "d"]
        assert wire.targets == targets


# what comes back


async def test_what_is_not_among_the_answers_is_not_found_for_the_one_who_asked() -> None:
    wire = ScriptedWire(play=lambda attempt: knowing(attempt, unknown=["b"]))
    client, upstream = shop(wire)
    ends = await asyncio.gather(*at_once(client, "a", "b", "c"), return_exceptions=True)
    assert kinds(ends) == [Book(id="a"), NotFound, Book(id="c")]
    assert (len(wire.attempts), upstream.tally.counts()) == (1, {"success": 1})


@pytest.mark.parametrize("step", [replying([{"id": "a"}], after=0.1), failing(0.1, status=500)])
async def test_nobodys_failure_remembers_what_the_others_were_given(step: Step) -> None:
    client, _ = shop(failing_in_bulk(step))
    _, ghost = await asyncio.gather(*at_once(client, "a", "ghost"), return_exceptions=True)
    assert isinstance(ghost, GatewayError)
    assert ghost.__context__ is None  # which whoever logs it would print


async def test_what_nobody_asked_for_is_nobodys() -> None:
    wire = failing_in_bulk(replying([{"id": "z"}, {"id": "b"}, {"id": "a"}]))
    client, _ = shop(wire)
    assert await asyncio.gather(*at_once(client, "a", "b")) == [Book(id="a"), Book(id="b")]


@pytest.mark.parametrize(
    "step",
    [
        *(failing(0.1, status=status) for status in (302, 400, 404, 410, 414, 422)),
        replying([{"id": "a"}, {"id": 7}], after=0.1),
        replying({"id": "a"}, after=0.1),
    ],
    ids=["302", "400", "404", "410", "414", "422", "one that does not fit", "another shape"],
)
async def test_where_one_may_have_spoilt_it_for_all_each_half_is_asked_for_apart(step: Step) -> None:
    wire = failing_in_bulk(step)
    client, _ = shop(wire)
    found = await asyncio.gather(*at_once(client, "a", "b", "c"))
    assert [book.id for book in found] == ["a", "b", "c"]
    assert wire.targets == ["/books?id=a&id=b&id=c", "/books/a", "/books?id=b&id=c", "/books/b", "/books/c"]


async def test_each_half_is_asked_for_apart_where_they_are_refused_at_once_too() -> None:
    client, _ = shop(failing_in_bulk(failing(status=400)))
    found = await asyncio.gather(*at_once(client, *"abcdefgh"))
    assert [book.id for book in found] == list("abcdefgh")


async def test_each_half_is_asked_for_apart_where_the_form_itself_refuses_one() -> None:
    class Strict(Shop):
        def books(self, ids: Sequence[str]) -> Call[list[Book]]:
            if "b" in ids:
                raise InvalidRequest(("id", "is none of ours"))
            return super().books(ids)

    wire = ScriptedWire(play=knowing)
    client, _ = shop(wire, client=Strict)
    found = await asyncio.gather(*at_once(client, *"abcd"))
    assert [book.id for book in found] == list("abcd")
    assert wire.targets == ["/books/a", "/books/b", "/books?id=c&id=d"]


async def test_one_that_is_refused_among_a_hundred_costs_the_others_nothing_and_the_service_little() -> None:
    def play(attempt: Attempt) -> Step:
        return failing(0.01, status=400) if "bad" in ids(attempt) else knowing(attempt, after=0.01)

    wire = ScriptedWire(play=play)
    client, upstream = shop(wire)
    names = [f"n{number}" for number in range(99)]
    ends = await asyncio.gather(*at_once(client, *names[:40], "bad", *names[40:]), return_exceptions=True)
    assert [end.id for end in ends if isinstance(end, Book)] == names
    assert kinds([end for end in ends if not isinstance(end, Book)]) == [BadStatus]
    assert len(wire.attempts) <= 1 + 2 * 7
    assert upstream.bulkhead.in_flight == 0


@pytest.mark.parametrize(
    ("step", "error", "attempts"),
    [
        (failing(0.1), BadStatus, 3),
        (failing(0.1, status=500), BadStatus, 1),
        (failing(0.1, status=429), Throttled, 3),
        (HANGING, TimedOut, 3),
    ],
    ids=["503", "500", "429", "timeout"],
)
async def test_where_the_service_fails_all_have_failed_and_it_is_not_asked_once_more_for_each(
    step: Step, error: type[GatewayError], attempts: int
) -> None:
    wire = failing_in_bulk(step)
    client, upstream = shop(wire)
    ends = await asyncio.gather(*at_once(client, *"abcdefgh"), return_exceptions=True)
    assert kinds(ends) == [error] * 8
    assert len({id(end) for end in ends}) == 8
    assert [len(ids(attempt)) for attempt in wire.attempts] == [8] * attempts
    assert (upstream.tally.retried, upstream.budget.spent) == (attempts - 1, attempts - 1)


async def test_where_the_circuit_is_open_all_are_refused() -> None:
    wire = failing_in_bulk(failing())
    client, _ = shop(wire, circuit=CircuitSettings(attempts=1))
    ends = await asyncio.gather(*at_once(client, "a", "b"), return_exceptions=True)
    assert kinds(ends) == [BadStatus] * 2
    ends = await asyncio.gather(*at_once(client, "a", "b"), return_exceptions=True)
    assert kinds(ends) == [CircuitOpen] * 2
    assert len(wire.attempts) == 1


async def test_a_name_may_be_empty_where_it_is_no_part_of_a_path() -> None:
    class Queried(Shop):
        @in_bulk("books", by="id")
        def by_query(self, book_id: str) -> Call[Book]:
            return self.get("/book", query={"id": book_id}, returns=Book)

    client, _ = shop(failing_in_bulk(replying([{"id": "a"}, {"id": ""}])), client=Queried)
    calls = [client.by_query(book) for book in ("", "a")]  # type: ignore[attr-defined]
    found = await asyncio.gather(*[asyncio.create_task(ask(call)) for call in calls])
    assert [book.id for book in found] == ["", "a"]


async def test_a_form_that_cannot_be_made_is_everyones_bug() -> None:
    class Broken(Shop):
        def broken(self, ids: Sequence[str]) -> Call[list[Book]]:
            raise ZeroDivisionError

        @in_bulk("broken", by="id")
        def one_of_them(self, book_id: str) -> Call[Book]:
            return self.get("/books/{book_id}", book_id=book_id, returns=Book)

    client, upstream = shop(ScriptedWire(play=knowing), client=Broken)
    calls = [client.one_of_them(book) for book in "ab"]  # type: ignore[attr-defined]
    ends = await asyncio.gather(*[asyncio.create_task(ask(call)) for call in calls], return_exceptions=True)
    assert kinds(ends) == [ZeroDivisionError] * 2
    assert not upstream._in_the_air


# who may leave


async def test_the_others_are_not_concerned_when_some_leave() -> None:
    client, wire = library()
    tasks = at_once(client, "a", "b", "c")
    await asyncio.sleep(0.05)
    for task in tasks[:2]:
        task.cancel()
    assert await tasks[2] == Book(id="c")
    assert not wire.attempts[0].given_up


async def test_with_the_last_one_it_ends() -> None:
    client, wire = library()
    tasks = at_once(client, "a", "b", "c")
    await asyncio.sleep(0.05)
    for task in tasks:
        assert not wire.attempts[0].given_up
        task.cancel()
        await turns()
    assert wire.attempts[0].given_up
    assert (client.upstream.bulkhead.in_flight, client.upstream._in_the_air) == (0, {})


async def test_everyone_waits_for_as_long_as_it_can() -> None:
    client, wire = library()
    hasty = asyncio.create_task(ask(client.one("a"), request(0.05)))
    patient = asyncio.create_task(ask(client.one("b"), request(2.0)))
    with pytest.raises(TooLate):
        await hasty
    assert now() < 0.1
    assert await patient == Book(id="b")
    assert [attempt.told for attempt in wire.attempts] == [500]


async def test_a_patient_one_who_boards_in_the_same_turn_gives_the_others_its_time() -> None:
    client, wire = library()
    well_known(client.upstream, 0.1)
    hasty = request(0.05)
    ends = await asyncio.gather(
        *[asyncio.create_task(ask(client.one(book), hasty)) for book in "ab"],
        asyncio.create_task(ask(client.one("a"), request())),
        return_exceptions=True,
    )
    assert kinds(ends) == [TooLate, TooLate, Book(id="a")]
    assert [attempt.told for attempt in wire.attempts] == [500]


async def test_a_patient_one_who_boards_later_gives_the_others_the_time_for_another_attempt() -> None:
    wire = ScriptedWire(play=lambda attempt: knowing(attempt) if wire.attempts[1:] else failing(0.1))
    client, _ = shop(wire)
    tasks = [asyncio.create_task(ask(client.one(book), request(0.1))) for book in "ab"]
    await asyncio.sleep(0.05)
    assert await ask(client.one("a"), request()) == Book(id="a")
    assert wire.targets == ["/books?id=a&id=b"] * 2
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_parts_that_are_late_are_missing_and_the_rest_of_the_page_is_there() -> None:
    client, _ = library()
    async with Composition(request()) as page:
        late = page.optional("late", client.one("a"), within=0.05)
        there = page.optional("there", client.one("b"))
    assert (late.missing, there.value) == (Reason.TIMEOUT, Book(id="b"))


@pytest.mark.parametrize(
    ("leaving", "targets"), [(0, ["/books?id=a&id=b&id=c"]), (1, ["/books?id=b&id=c"]), (2, ["/books/c"]), (3, [])]
)
async def test_for_those_who_leave_before_it_goes_nothing_is_asked(leaving: int, targets: list[str]) -> None:
    client, wire = library()
    async with Composition(request()) as page:
        parts = [page.optional(book, client.one(book)) for book in "abc"]
        for part in parts[:leaving]:
            part.stop()
        await turns()
        assert wire.targets == targets
        for part in parts[:leaving]:
            part.miss(Reason.TIMEOUT)
    assert [part.value for part in parts[leaving:]] == [Book(id=book) for book in "abc"[leaving:]]
    assert client.upstream.bulkhead.in_flight == 0


async def test_a_page_that_ends_when_the_first_part_comes_back_leaves_nothing_of_the_others() -> None:
    wire = failing_in_bulk(failing(0.1, status=500))
    client, upstream = shop(wire)
    with pytest.raises(BadStatus):
        async with Composition(request()) as page:
            for book in "abc":
                page.required(book, client.one(book))
    assert (len(wire.attempts), upstream.bulkhead.in_flight, upstream._in_the_air) == (1, 0, {})


async def test_what_does_not_fit_alone_is_a_bad_reply_for_that_one() -> None:
    def one_is_broken(attempt: Attempt) -> Step:
        found = [{"id": 7 if one == "b" else one} for one in ids(attempt)]
        return replying(found if "?" in attempt.request.target else found[0], after=0.1)

    client, _ = shop(ScriptedWire(play=one_is_broken))
    ends = await asyncio.gather(*at_once(client, "a", "b", "c"), return_exceptions=True)
    assert kinds(ends) == [Book(id="a"), BadReply, Book(id="c")]


async def test_what_is_sent_is_written_like_any_call_of_that_form() -> None:
    client, wire = library()
    await asyncio.gather(*at_once(client, "a/b", "c&d"))
    assert wire.targets == ["/books?id=a%2Fb&id=c%26d"]


# bugs, and whose surroundings


class Mistaken(Shop):
    @in_bulk("books", by="title")
    def by_title(self, book_id: str) -> Call[Book]:
        return self.get("/books/{book_id}", book_id=book_id, returns=Book)

    def nothing(self, ids: Sequence[str]) -> Any:
        """Forgets to say what to call."""

    @in_bulk("nothing", by="id")
    def by_nothing(self, book_id: str) -> Call[Book]:
        return self.get("/books/{book_id}", book_id=book_id, returns=Book)


@pytest.mark.parametrize("method", ["by_title", "by_nothing"])
async def test_nobody_waits_for_ever_because_of_a_bug_in_how_it_was_declared(method: str) -> None:
    client, upstream = shop(ScriptedWire(play=knowing), client=Mistaken)
    calls = [getattr(client, method)(book) for book in "ab"]
    ends = await asyncio.gather(*[asyncio.create_task(ask(call)) for call in calls], return_exceptions=True)
    assert kinds(ends) == [AttributeError] * 2
    assert now() < 0.5
    assert not upstream._in_the_air
    assert upstream.bulkhead.in_flight == 0


async def test_two_methods_may_have_one_bulk_form_and_tell_its_answers_apart_by_another_member() -> None:
    client, _ = shop(ScriptedWire(play=knowing), client=Mistaken)
    calls = [client.by_title("c"), client.one("a"), client.one("b")]  # type: ignore[attr-defined]
    found = await asyncio.gather(*[asyncio.create_task(ask(call)) for call in calls])
    assert [book.id for book in found] == ["c", "a", "b"]


async def test_the_bulk_form_is_made_in_the_surroundings_of_someone_it_is_for() -> None:
    made: list[tuple[object, Sequence[str]]] = []

    class Watched(Confidant):
        def books(self, ids: Sequence[str]) -> Call[list[Book]]:
            made.append((current().principal, ids))
            return super().books(ids)

    client, _ = shop(ScriptedWire(play=knowing), client=Watched)
    asking = [("ann", "a"), ("ann", "b"), ("bob", "c"), ("bob", "d")]
    async with asyncio.TaskGroup() as group:
        for principal, book in asking:
            group.create_task(ask(client.one(book), request(principal=principal)))
    assert made == [("ann", ["a", "b"]), ("bob", ["c", "d"])]
