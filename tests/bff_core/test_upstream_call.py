"""The life of a call: what is sent, for how long, what becomes of what comes back, and how it is counted."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from unittest.mock import AsyncMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff_core.context import RequestContext, enter
from bff_core.errors import (
    BadReply,
    BadStatus,
    DeadlinePassed,
    InvalidRequest,
    NotFound,
    Throttled,
    TimedOut,
    TooLate,
    Unreachable,
)
from bff_core.services.client import Answer, ServiceClient
from bff_core.settings import UpstreamSettings
from bff_core.testing import HeldUpstream, SimulatedInternet, run
from bff_core.testing.internet import ASGIApp
from bff_core.upstream import Call, Upstream
from bff_core.upstream_settings import RetrySettings
from bff_core.wire import ReplyStream, header
from tests.store import answer


class Book(Answer):
    id: str
    pages: int = 1


class Shop(ServiceClient):
    """As short as a service client can be."""

    service = "shop"

    def book(self, book_id: str) -> Call[Book]:
        return self.get("/books/{book_id}", book_id=book_id, returns=Book)

    def search(self, cursor: str) -> Call[Book]:
        return self.get("/search", query={"cursor": cursor}, returns=Book, rejection_names="query.cursor")

    def picture(self, book_id: str, if_none_match: str | None = None) -> Call[ReplyStream]:
        return self.download(
            "/covers/{book_id}", book_id=book_id, media_type="image/svg+xml", if_none_match=if_none_match
        )


BOOK = b'{"id": "pojos", "pages": 300, "newer": [1]}'


def shop(app: ASGIApp | None = None, **settings: Any) -> tuple[Shop, Upstream, SimulatedInternet]:
    """A client of the shop, its upstream, and the network to it; nothing listens there without an app.

    Nothing is tried again, because what is looked at is one attempt.
    """
    internet = SimulatedInternet({"shop.test": app} if app else {})
    found = UpstreamSettings(**{"instances": ["http://shop.test"], "retry": {"attempts": 0}, **settings})
    upstream = Upstream("shop", found, internet, agent="bff-test/1")
    return Shop(upstream), upstream, internet


def replying(body: bytes = b"", *, status: int = 200, **headers: str) -> ASGIApp:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    return app


def now() -> float:
    return asyncio.get_running_loop().time()


def sent(internet: SimulatedInternet, name: bytes) -> list[str | None]:
    return [header(request.headers, name) for _, request in internet.requests]


# what is sent


async def test_a_call_is_not_sent_until_it_is_awaited_and_each_time_it_is() -> None:
    client, _, internet = shop(answer(BOOK))
    call = client.book("pojos")
    assert not internet.requests
    assert await call == await call == Book(id="pojos", pages=300)
    assert [request.target for _, request in internet.requests] == ["/books/pojos"] * 2


async def test_a_call_says_who_asks_for_whom_and_what_it_can_read() -> None:
    client, _, internet = shop(answer(BOOK))
    enter(RequestContext("some-id", now(), now() + 1))
    await client.book("pojos")
    ((instance, request),) = internet.requests
    assert (str(instance), request.method, request.body) == ("http://shop.test:80", "GET", b"")
    assert header(request.headers, b"user-agent") == "bff-test/1"
    assert header(request.headers, b"x-request-id") == "some-id"
    assert header(request.headers, b"accept") == "application/json"


async def test_calls_are_spread_over_instances() -> None:
    client, _, internet = shop(instances=["http://a.test", "http://b.test:81"])
    internet.hosts.update({"a.test": answer(BOOK), "b.test": answer(BOOK)})
    for _ in range(100):
        await client.book("pojos")
    counts = Counter(instance.host for instance, _ in internet.requests)
    assert min(counts["a.test"], counts["b.test"]) > 20


# time


async def test_a_service_is_told_what_is_left_and_that_shrinks() -> None:
    client, _, internet = shop(answer(BOOK), timeout="400ms")
    enter(RequestContext("r", now(), now() + 1.0))
    for _ in range(4):
        await client.book("pojos")
        await asyncio.sleep(0.25)
    assert sent(internet, b"x-request-timeout-ms") == ["400", "400", "400", "250"]


async def test_a_service_is_never_told_that_nothing_is_left() -> None:
    client, _, internet = shop(answer(BOOK))
    enter(RequestContext("r", now(), now() + 0.0004))
    await client.book("pojos")
    assert sent(internet, b"x-request-timeout-ms") == ["1"]


@pytest.mark.parametrize("left", [0.0, -1.0])
async def test_without_time_left_nothing_is_sent(left: float) -> None:
    client, upstream, internet = shop(answer(BOOK))
    enter(RequestContext("r", now(), now() + left))
    with pytest.raises(DeadlinePassed):
        await client.book("pojos")
    assert not internet.requests
    assert upstream.tally.counts() == {}


@pytest.mark.parametrize(
    ("deadline", "lasts", "error"), [(2.0, 0.5, TimedOut), (0.2, 0.2, TooLate)], ids=["its own timeout", "the deadline"]
)
async def test_a_call_ends_with_whichever_comes_first(deadline: float, lasts: float, error: type[Exception]) -> None:
    client, upstream, internet = shop(HeldUpstream())
    enter(RequestContext("r", now(), now() + deadline))
    started = now()
    with pytest.raises(error):
        await client.book("pojos")
    assert now() - started == pytest.approx(lasts, abs=0.0101)
    await asyncio.sleep(0)  # for the task by which the network is simulated
    assert internet.in_flight == upstream.bulkhead.in_flight == 0


async def test_without_a_request_a_call_still_has_its_own_timeout() -> None:
    client, _, _ = shop(HeldUpstream(), timeout="2s")
    with pytest.raises(TimedOut):
        await client.book("pojos")
    assert now() == pytest.approx(2)


# what comes back


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8", "application/hal+json"])
async def test_json_by_any_of_its_names_is_an_answer(media_type: str) -> None:
    client, _, _ = shop(replying(BOOK, content_type=media_type))
    assert await client.book("pojos") == Book(id="pojos", pages=300)


async def test_nothing_by_that_name_is_not_found() -> None:
    client, upstream, _ = shop(replying(b"no such book", status=404))
    with pytest.raises(NotFound):
        await client.book("pojos")
    assert upstream.tally.counts() == {"success": 1}


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 400, 401, 403, 405, 409, 410, 418, 422, 451, 499])
async def test_a_status_that_is_no_answer_is_a_bad_status_that_says_nothing_of_health(status: int) -> None:
    client, upstream, _ = shop(
        replying(BOOK, status=status, content_type="application/json", location="http://x.test/")
    )
    with pytest.raises(BadStatus) as bad:
        await client.book("pojos")
    assert bad.value.upstream_status == status
    assert upstream.tally.counts() == {"success": 1}


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
async def test_a_service_that_fails_is_a_failure(status: int) -> None:
    client, upstream, _ = shop(replying(BOOK, status=status, content_type="application/json"))
    with pytest.raises(BadStatus):
        await client.book("pojos")
    assert upstream.tally.counts() == {"failure": 1}


@pytest.mark.parametrize("status", [400, 422])
async def test_a_parameter_that_only_the_service_can_judge_is_the_clients_mistake(status: int) -> None:
    client, upstream, _ = shop(replying(b"?", status=status))
    with pytest.raises(InvalidRequest) as invalid:
        await client.search("made-up")
    assert [place for place, _ in invalid.value.fields] == ["query.cursor"]
    assert upstream.tally.counts() == {"success": 1}


IN_A_MINUTE = "in a minute, as a date"  # made in the test, because the names of tests must not change with the clock


@pytest.mark.parametrize("status", [408, 425, 429])
@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("0", 0, 0),
        ("120", 120, 120),
        ("9" * 5000, 86_400, 86_400),
        (IN_A_MINUTE, 50, 60),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400, 86_400),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86_400, 86_400),
    ],
)
async def test_a_service_that_asks_to_be_left_alone_is_heard(status: int, value: str, least: int, most: int) -> None:
    if value == IN_A_MINUTE:
        value = format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)
    client, upstream, _ = shop(replying(status=status, retry_after=value))
    with pytest.raises(Throttled) as throttled:
        await client.book("pojos")
    assert throttled.value.retry_after is not None
    assert least <= throttled.value.retry_after <= most
    assert upstream.tally.counts() == {"neither": 1}


@pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "١٢", "12 s", "Thu", "Thu, 99 Foo 2015", ",", "0 0 0 0 0"])
async def test_a_retry_after_that_says_nothing_is_no_reason_to_fail_differently(value: str) -> None:
    client, _, _ = shop(replying(status=429, retry_after=value.encode().decode("latin-1")))
    with pytest.raises(Throttled) as throttled:
        await client.book("pojos")
    assert throttled.value.retry_after is None


@given(st.text(st.characters(codec="latin-1")) | st.text("0123456789 :,-+GMTadhunFri"))
def test_no_retry_after_whatsoever_is_a_crash(value: str) -> None:
    async def ask() -> None:
        client, _, _ = shop(replying(status=429, retry_after=value))
        with pytest.raises(Throttled) as throttled:
            await client.book("pojos")
        assert throttled.value.retry_after is None or 0 <= throttled.value.retry_after <= 86_400

    run(ask())


NO_ANSWER = {
    "nothing": b"",
    "half": b'{"id": "pojos", "pages": ',
    "not UTF-8": b'{"id": "\xff"}',
    "a byte order mark": b"\xef\xbb\xbf" + BOOK,
    "two": BOOK + BOOK,
    "a comma too many": b'{"id": "x",}',
    "NaN": b'{"id": "x", "pages": NaN}',
    "infinity": b'{"id": "x", "pages": Infinity}',
    "minus infinity": b'{"id": "x", "pages": -Infinity}',
    "a lone surrogate": b'{"id": "\\ud800"}',
    "a lone surrogate where nobody looks": b'{"id": "x", "newer": "\\udc00\\ud800"}',
    "depth": b'{"id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "depth where nobody looks": b'{"id": "x", "newer": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a huge integer": b'{"id": "x", "pages": ' + b"9" * 5000 + b"}",
    "a huge exponent": b'{"id": "x", "pages": 1e999}',
    "another shape": b'{"id": 7}',
    "less than needed": b'{"pages": 7}',
    "a list": b"[]",
    "null": b"null",
}


@pytest.mark.parametrize("body", NO_ANSWER.values(), ids=NO_ANSWER)
async def test_a_reply_that_does_not_fit_is_a_bad_reply(body: bytes) -> None:
    client, upstream, _ = shop(answer(body))
    with pytest.raises(BadReply):
        await client.book("pojos")
    assert upstream.tally.counts() == {"failure": 1}


@pytest.mark.parametrize("app", [replying(BOOK), replying(BOOK, content_type="text/html"), replying(status=204)])
async def test_what_does_not_say_that_it_is_json_is_a_bad_reply(app: ASGIApp) -> None:
    client, _, _ = shop(app)
    with pytest.raises(BadReply, match="instead of JSON"):
        await client.book("pojos")


async def test_a_bad_reply_names_the_place_and_repeats_nothing_of_what_was_said() -> None:
    client, upstream, _ = shop(answer(b'{"id": "x", "pages": "secret"}'))
    with pytest.raises(BadReply) as bad:
        await client.book("pojos")
    assert "/books/{book_id}: pages" in str(bad.value)
    assert "secret" not in str(bad.value)
    assert upstream.tally.last_failure == str(bad.value)


async def test_a_reply_over_its_limit_is_a_bad_reply() -> None:
    client, _, _ = shop(answer(BOOK), max_reply=len(BOOK) - 1)
    with pytest.raises(BadReply):
        await client.book("pojos")
    client, _, _ = shop(answer(BOOK), max_reply=len(BOOK))
    await client.book("pojos")


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "pages", "x"]), inner),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_body_is_an_answer_or_a_bad_reply(body: bytes) -> None:
    async def ask() -> None:
        client, upstream, _ = shop(answer(body))
        try:
            assert isinstance(await client.book("pojos"), Book)
        except BadReply:
            assert upstream.tally.counts() == {"failure": 1}

    run(ask())


# what is counted


async def test_what_is_in_flight_comes_back_to_nothing_however_a_call_ends() -> None:
    held = HeldUpstream()
    client, upstream, internet = shop(held)

    async def ask(book_id: str) -> Book:
        return await client.book(book_id)

    calls = [asyncio.create_task(ask(book_id)) for book_id in "abcd"]
    requests = [await held.asked() for _ in calls]
    assert upstream.bulkhead.in_flight == internet.in_flight == 4

    requests[0].answer({"id": "x"})
    requests[1].answer({}, status=500)
    calls[2].cancel()
    await asyncio.gather(*calls, return_exceptions=True)  # the fourth times out
    assert upstream.bulkhead.in_flight == internet.in_flight == 0
    assert upstream.tally.counts() == {"success": 1, "failure": 2, "ours": 1}
    assert held.abandoned == 2


async def test_a_service_that_is_not_there_is_a_failure_with_its_name_for_operators() -> None:
    client, upstream, _ = shop()
    with pytest.raises(Unreachable):
        await client.book("pojos")
    assert upstream.tally.counts() == {"failure": 1}
    assert upstream.tally.last_failure == "shop: connection refused"


async def test_a_call_that_cannot_be_written_is_refused_before_anything_is_counted() -> None:
    client, upstream, internet = shop(answer(BOOK))
    with pytest.raises(InvalidRequest):
        client.book("..")
    assert not internet.requests
    assert upstream.tally.counts() == {}


# what is handed on unread


async def test_a_download_is_handed_on_as_it_is() -> None:
    client, upstream, internet = shop(replying(b"<svg/>", content_type="image/svg+xml; charset=utf-8", etag='"1"'))
    stream = await client.picture("pojos", '"0"')
    assert [part async for part in stream] == [b"<svg/>"]
    assert (stream.status, header(stream.headers, b"etag")) == (200, '"1"')
    assert sent(internet, b"if-none-match") == ['"0"']
    assert upstream.tally.counts() == {"success": 1}
    await stream.close()


async def test_a_picture_that_has_not_changed_is_an_answer_too() -> None:
    client, upstream, _ = shop(replying(status=304, etag='"1"'))
    assert (await client.picture("pojos", '"1"')).status == 304
    assert upstream.tally.counts() == {"success": 1}


@pytest.mark.parametrize(
    ("app", "error"),
    [
        (replying(b"<script>", content_type="text/html"), BadReply),
        (replying(b"<svg/>"), BadReply),
        (replying(status=404), NotFound),
        (replying(status=302, location="http://x.test/"), BadStatus),
        (replying(status=429), Throttled),
        (replying(status=500), BadStatus),
    ],
)
async def test_a_download_that_is_not_what_was_asked_for_is_refused_and_let_go(app: ASGIApp, error: type) -> None:
    closed = []

    class Watched(SimulatedInternet):
        async def stream(self, *args: Any, **limits: Any) -> ReplyStream:
            stream = await super().stream(*args, **limits)
            stream.close = AsyncMock(side_effect=lambda: closed.append(stream))
            return stream

    upstream = Upstream(
        "shop",
        UpstreamSettings(instances=["http://shop.test"], retry=RetrySettings(attempts=0)),
        Watched({"shop.test": app}),
        agent="bff-test/1",
    )
    with pytest.raises(error):
        await Shop(upstream).picture("pojos")
    assert len(closed) == 1
    assert upstream.bulkhead.in_flight == 0


# what is stopped from above


@pytest.mark.parametrize(("seconds", "counted"), [(0.01, "ours"), (0.24, "ours"), (0.3, "failure"), (0.49, "failure")])
async def test_a_hasty_client_is_no_failure_of_the_service_and_a_hanging_service_is(
    seconds: float, counted: str
) -> None:
    client, upstream, _ = shop(HeldUpstream(), timeout="500ms")
    enter(RequestContext("r", now(), now() + seconds))
    with pytest.raises(TooLate):
        await client.book("pojos")
    assert upstream.tally.counts() == {counted: 1}


@pytest.mark.parametrize(("seconds", "counted"), [(0.01, "ours"), (0.4, "failure")])
async def test_a_call_that_is_cancelled_counts_by_how_long_it_ran(seconds: float, counted: str) -> None:
    client, upstream, _ = shop(HeldUpstream(), timeout="500ms")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await client.book("pojos")
    assert upstream.tally.counts() == {counted: 1}


async def test_white_space_around_an_entity_tag_stays_outside() -> None:
    client, _, internet = shop(replying(b"<svg/>", content_type="image/svg+xml"))
    for tag in ('"x" ', '"x"\t', ' "x"', " "):
        await (await client.picture("pojos", if_none_match=tag)).close()
    assert sent(internet, b"if-none-match") == ['"x"', '"x"', '"x"', None]


async def test_the_body_of_a_download_has_until_the_deadline_of_the_request() -> None:
    client, _, internet = shop(replying(b"<svg/>", content_type="image/svg+xml"), timeout="500ms")
    internet.stream = AsyncMock(wraps=internet.stream)  # type: ignore[method-assign]
    enter(RequestContext("r", now(), now() + 2))
    await (await client.picture("pojos")).close()
    asked = internet.stream.await_args.kwargs
    assert (asked["until"], asked["body_until"]) == (now() + 0.5, now() + 2)


# what nobody reads


@pytest.mark.parametrize("app", [replying(status=204), answer(b'{"deleted": true}'), replying(b"gone")])
async def test_a_reply_that_nobody_reads_may_say_anything(app: ASGIApp) -> None:
    client, upstream, _ = shop(app)
    assert await client.delete("/books/{book_id}", book_id="pojos") is None
    assert upstream.tally.counts() == {"success": 1}


async def test_what_is_gone_already_is_not_found_even_where_nobody_reads() -> None:
    client, _, _ = shop(replying(status=404))
    with pytest.raises(NotFound):
        await client.delete("/books/{book_id}", book_id="pojos")
