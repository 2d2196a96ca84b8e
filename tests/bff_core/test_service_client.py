"""What a service client sends for each kind of call, and what it gives back."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bff_core.errors import BadReply, BadStatus, InvalidRequest, NotFound
from bff_core.services.client import Answer, ServiceClient, Tells, connect, in_bulk, services_of
from bff_core.services.orders import Orders
from bff_core.testing import run
from bff_core.upstream import Call
from bff_core.upstream_settings import RetrySettings
from bff_core.wire import Reply, header
from tests.bff_core.scripted import (
    Attempt,
    Book,
    Order,
    ScriptedWire,
    Shop,
    Step,
    ask,
    failing,
    fine,
    replying,
    request,
    shop,
)

ONCE = RetrySettings(attempts=0)
EMPTY = Step(Reply(204, [], b""))


def sent(wire: ScriptedWire) -> tuple[str, str, bytes]:
    (attempt,) = wire.attempts
    return attempt.request.method, attempt.request.target, bytes(attempt.request.body)  # type: ignore[arg-type]


def told(attempt: Attempt, name: bytes) -> str | None:
    return header(attempt.request.headers, name)


# calls that change something


async def test_a_post_sends_its_content_as_json_and_reads_what_comes_back() -> None:
    wire = ScriptedWire(replying({"id": "order-1"}, status=201))
    client, _ = shop(wire)
    assert await client.buy() == Book(id="order-1")
    assert sent(wire) == ("POST", "/orders", b'{"book":"pojos"}')
    assert told(wire.attempts[0], b"content-type") == "application/json"
    assert told(wire.attempts[0], b"accept") == "application/json"
    assert told(wire.attempts[0], b"idempotency-key") is None


async def test_a_post_may_have_a_key() -> None:
    wire = ScriptedWire(fine())
    client, _ = shop(wire)
    await client.buy("0b5e-1")
    assert told(wire.attempts[0], b"idempotency-key") == "0b5e-1"
    assert told(wire.attempts[0], b"content-type") == "application/json"


async def test_a_put_sends_its_content_too() -> None:
    wire = ScriptedWire(fine())
    client, _ = shop(wire)
    assert await client.shelve() == Book(id="pojos")
    assert sent(wire) == ("PUT", "/shelf", b'{"book":"pojos"}')


@pytest.mark.parametrize("step", [EMPTY, fine(), Step(Reply(200, [(b"content-type", b"text/html")], b"<p>gone"))])
async def test_after_a_delete_nothing_is_read(step: Step) -> None:
    wire = ScriptedWire(step)
    client, upstream = shop(wire)
    assert await client.discard() is None
    assert sent(wire) == ("DELETE", "/books/pojos", b"")
    assert told(wire.attempts[0], b"content-type") is None
    assert upstream.tally.counts() == {"success": 1}


async def test_of_a_change_whose_reply_nobody_reads_nothing_is_read() -> None:
    class Silent(Shop):
        def tell(self) -> Call[None]:
            return self.post("/heard", content=Order(), returns=type(None))

    client, _ = shop(ScriptedWire(EMPTY), client=Silent)
    assert await client.tell() is None  # type: ignore[attr-defined]


async def test_a_change_that_says_nothing_where_something_is_expected_is_a_bad_reply() -> None:
    client, _ = shop(ScriptedWire(EMPTY))
    with pytest.raises(BadReply):
        await client.buy()


@pytest.mark.parametrize(("status", "error"), [(404, NotFound), (409, BadStatus), (422, BadStatus), (500, BadStatus)])
async def test_a_change_fails_like_any_call(status: int, error: type[Exception]) -> None:
    client, upstream = shop(ScriptedWire(failing(status=status)), retry=ONCE)
    for make in (client.buy, client.shelve, client.discard):
        with pytest.raises(error):
            await make()
    assert upstream.bulkhead.in_flight == 0


async def test_values_of_a_change_stay_in_their_place() -> None:
    class Filing(Shop):
        def file(self, name: str) -> Call[Book]:
            return self.put("/files/{name}", content=Order(book="é\n"), returns=Book, name=name)

    wire = ScriptedWire(fine())
    client, _ = shop(wire, client=Filing)
    await client.file("a/../b?c")  # type: ignore[attr-defined]
    assert sent(wire) == ("PUT", "/files/a%2F..%2Fb%3Fc", '{"book":"é\\n"}'.encode())
    with pytest.raises(InvalidRequest):
        client.file("..")  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["a\r\nx-internal: 1", "a\nb", "é", "\x00", "\ud800", "\x7f"])
async def test_a_key_that_cannot_be_a_header_is_the_clients_mistake(key: str) -> None:
    wire = ScriptedWire(fine())
    client, _ = shop(wire)
    with pytest.raises(InvalidRequest) as invalid:
        client.buy(key)
    assert [place for place, _ in invalid.value.fields] == ["idempotency-key"]
    assert not wire.attempts


@given(st.text())
def test_a_key_is_sent_as_it_is_or_refused(key: str) -> None:
    async def buy() -> None:
        wire = ScriptedWire(fine())
        client, _ = shop(wire)
        try:
            await client.buy(key)
        except InvalidRequest:
            assert not (key.isascii() and key.isprintable())
        else:
            assert told(wire.attempts[0], b"idempotency-key") == (key if key.strip() else None)

    run(buy())


@pytest.mark.parametrize("key", ["", " ", None])
async def test_an_empty_key_is_no_key_and_nothing_is_sent_twice_for_it(key: str | None) -> None:
    wire = ScriptedWire(failing())
    client, _ = shop(wire)
    with pytest.raises(BadStatus):
        await client.buy(key)
    assert len(wire.attempts) == 1
    assert told(wire.attempts[0], b"idempotency-key") is None


# questions that are posted


class Asking(Shop):
    def opinion(self, about: str, secret: str | None = None) -> Call[Book]:
        who = None if secret is None else SecretStr(secret)
        return self.ask("/opinions", form={"about": about, "loud": "no"}, authorization=who, returns=Book)


async def test_a_question_is_posted_as_a_form() -> None:
    wire = ScriptedWire(fine())
    client: Any = shop(wire, client=Asking)[0]
    assert await client.opinion("a b&c=d/\u00e9", "Basic x") == Book(id="pojos")
    assert sent(wire) == ("POST", "/opinions", b"about=a+b%26c%3Dd%2F%C3%A9&loud=no")
    assert told(wire.attempts[0], b"content-type") == "application/x-www-form-urlencoded"
    assert told(wire.attempts[0], b"authorization") == "Basic x"


async def test_a_question_changes_nothing_and_is_asked_again_after_a_failure() -> None:
    wire = ScriptedWire(failing(), fine())
    client: Any = shop(wire, client=Asking)[0]
    assert await client.opinion("rain") == Book(id="pojos")
    assert len(wire.attempts) == 2
    assert told(wire.attempts[0], b"authorization") is None


async def test_two_questions_at_once_are_two_because_what_they_ask_is_not_in_their_target() -> None:
    wire = ScriptedWire(fine(0.1))
    client: Any = shop(wire, client=Asking)[0]
    asking = [asyncio.create_task(ask(client.opinion(about))) for about in ("rain", "snow")]
    await asyncio.gather(*asking)
    assert len(wire.attempts) == 2


# whom it tells


class Confidant(Shop):
    tells = Tells.PRINCIPAL


async def test_only_where_a_client_says_so_two_principals_make_two_calls() -> None:
    for kind, attempts in ((Shop, 1), (Confidant, 2)):
        wire = ScriptedWire(fine(0.1))
        client, _ = shop(wire, client=kind)
        asking = [asyncio.create_task(ask(client.book(), request(principal=who))) for who in ("alice", "bob", "alice")]
        await asyncio.gather(*asking)
        assert len(wire.attempts) == attempts


async def test_a_client_that_tells_shares_nothing_with_one_of_the_same_upstream_that_does_not() -> None:
    wire = ScriptedWire(fine(0.1))
    client, upstream = shop(wire)
    other = Confidant(upstream)
    asking = [asyncio.create_task(ask(one.book(), request(principal="alice"))) for one in (client, other)]
    await asyncio.gather(*asking)
    assert len(wire.attempts) == 2


def test_orders_are_told_who_asks_and_by_default_nobody_is() -> None:
    assert Orders.tells is Tells.PRINCIPAL
    assert ServiceClient.tells is Tells.GATEWAY


# in bulk


class Twice(Shop):
    """Two kinds of call with a bulk form of each."""

    @in_bulk("others", by="id")
    def other(self, book_id: str) -> Call[Book]:
        """One of the others."""
        return self.get("/others/{book_id}", book_id=book_id, returns=Book)

    def others(self, ids: list[str]) -> Call[list[Book]]:
        return self.get("/others", query={"id": ids}, returns=list[Book])


async def test_each_form_of_a_client_gathers_by_itself_and_each_client_too() -> None:
    wire = ScriptedWire(replying([{"id": "a"}, {"id": "b"}]))
    first, upstream = shop(wire, client=Twice, coalesce=False)
    second = Twice(upstream)
    calls: list[Call[Any]] = [
        *(first.one(book) for book in "ab"),
        *(first.other(book) for book in "ab"),  # type: ignore[attr-defined]
        *(second.one(book) for book in "ab"),
    ]
    await asyncio.gather(*[asyncio.create_task(ask(call)) for call in calls])
    assert sorted(wire.targets) == ["/books?id=a&id=b", "/books?id=a&id=b", "/others?id=a&id=b"]


async def test_a_call_with_a_bulk_form_may_be_made_and_never_awaited_or_awaited_twice() -> None:
    wire = ScriptedWire(fine())
    client, _ = shop(wire)
    call = client.one("pojos")
    client.one("other")
    assert await call == await call == Book(id="pojos")
    assert wire.targets == ["/books/pojos"] * 2


def test_a_method_with_a_bulk_form_keeps_its_name_and_its_words() -> None:
    assert (Twice.other.__name__, Twice.other.__doc__) == ("other", "One of the others.")


# clients together


def test_clients_are_connected_to_the_upstreams_they_name() -> None:
    class Clients:
        shop: Shop
        confidant: Confidant

        def __init__(self, shop: Shop, confidant: Confidant) -> None:
            self.shop, self.confidant = shop, confidant

    _, upstream = shop(ScriptedWire(fine()))
    found = connect(Clients, {"shop": upstream})
    assert services_of(Clients) == {"shop": Shop, "confidant": Confidant}
    assert found.shop.upstream is found.confidant.upstream is upstream


def test_an_answer_takes_what_it_knows_and_cannot_be_changed() -> None:
    class Small(Answer):
        id: str

    small = Small.model_validate({"id": "x", "newer": 1})
    assert small.model_dump() == {"id": "x"}
    with pytest.raises(ValueError, match="frozen"):
        small.id = "y"
