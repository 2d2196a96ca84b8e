"""Which attempts tell who asks, and that each of them tells it of the right one."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from bff_core.auth.relay_keys import RelayKeys
from bff_core.context import RequestContext
from bff_core.errors import BadStatus, TooLate
from bff_core.principal import Principal
from bff_core.services.client import Tells
from bff_core.upstream import Call, Upstream
from bff_core.upstream_settings import HedgeSettings, UpstreamSettings
from bff_core.wire import header
from tests.bff_core.relayed import ALICE, BOB, pem, relay, told, wall
from tests.bff_core.scripted import (
    Attempt,
    Book,
    ScriptedWire,
    Shop,
    Step,
    ask,
    failing,
    fine,
    now,
    replying,
    shop,
    turns,
    well_known,
)

KEYS = RelayKeys([pem()])
INSTANCES = ["http://a.test", "http://b.test"]


class Confidant(Shop):
    """Is told who asks."""

    tells = Tells.PRINCIPAL

    def question(self, authorization: SecretStr | None) -> Call[Book]:
        return self.ask("/question", form={"book": "pojos"}, authorization=authorization, returns=Book)


def confidant(wire: ScriptedWire, *, client: type[Shop] = Confidant, lifetime: str = "60s", **settings: Any) -> Any:
    tokens = relay(KEYS, audience="shop", lifetime=lifetime)
    found = UpstreamSettings(instances=INSTANCES, **settings)
    return client(Upstream("shop", found, wire, agent="bff-test/1", relay=tokens))


def of(principal: Principal | None, seconds: float = 2.0) -> RequestContext:
    return RequestContext("r", now(), now() + seconds, principal=principal)


def who(attempt: Attempt) -> str | None:
    """Who asks, as the service verifies it when the attempt arrives."""
    lines = [value for name, value in attempt.request.headers if name == b"authorization"]
    if not lines:
        return None
    (line,) = lines
    found = told(b"authorization: " + line + b"\r\n", KEYS.published, audience="shop", now=wall())
    return str(found.claims["sub"])


class Listening(ScriptedWire):
    """Hears who asks, of every attempt at the moment when it is made."""

    def __init__(self, *script: Step, **how: Any) -> None:
        super().__init__(*script, **how)
        self.heard: list[str | None] = []

    def send(self, *args: Any, **how: Any) -> Any:
        made = super().send(*args, **how)
        self.heard.append(who(self.attempts[-1]))
        return made


@pytest.mark.parametrize("call", ["book", "buy", "shelve", "picture"])
async def test_every_kind_of_call_tells_who_asks(call: str) -> None:
    wire = Listening(fine())
    await ask(getattr(confidant(wire), call)(), of(ALICE))
    assert wire.heard == ["alice"]


async def test_a_service_that_is_not_told_is_told_of_nobody() -> None:
    wire = Listening(fine())
    await ask(confidant(wire, client=Shop).book(), of(ALICE))
    assert wire.heard == [None]


async def test_of_nobody_nothing_is_told() -> None:
    wire = Listening(fine())
    await ask(confidant(wire).book(), of(None))
    assert wire.heard == [None]
    assert wire.attempts[0].request.headers[:] == (
        (b"user-agent", b"bff-test/1"),
        (b"accept", b"application/json"),
        (b"x-request-id", b"r"),
        (b"x-request-timeout-ms", b"500"),
    )


async def test_without_a_relay_nobody_is_told() -> None:
    wire = Listening(fine())
    client, _ = shop(wire, client=Confidant)
    await ask(client.book(), of(ALICE))
    assert wire.heard == [None]


async def test_every_attempt_bears_a_token_that_is_good_when_it_is_made() -> None:
    wire = Listening(failing(8.0), failing(8.0), fine())
    client = confidant(wire, lifetime="10s", timeout="10s")
    await ask(client.book(), of(ALICE, 60.0))
    assert wire.heard == ["alice"] * 3  # each verified without any leeway
    assert len({header(attempt.request.headers, b"authorization") for attempt in wire.attempts}) == 3


async def test_a_hedge_tells_the_same() -> None:
    wire = Listening(fine(0.3), fine(0.01))
    client = confidant(wire, hedge=HedgeSettings(enabled=True))
    well_known(client.upstream, 0.05)
    await ask(client.book(), of(ALICE))
    assert wire.heard == ["alice", "alice"]


async def test_what_is_asked_for_at_once_is_asked_for_by_each_for_themselves() -> None:
    def knowing(attempt: Attempt) -> Step:
        ids = [pair.removeprefix("id=") for pair in attempt.request.target.partition("?")[2].split("&")]
        return replying([{"id": one} for one in ids], after=0.1)

    wire = Listening(play=knowing)
    client = confidant(wire)
    asking = [
        asyncio.create_task(ask(client.one(book), of(principal)))
        for book, principal in (("a", ALICE), ("b", BOB), ("c", ALICE), ("d", BOB), ("e", None), ("f", None))
    ]
    assert [book.id for book in await asyncio.gather(*asking)] == list("abcdef")
    assert sorted(zip(wire.targets, map(str, wire.heard), strict=True)) == [
        ("/books?id=a&id=c", "alice"),
        ("/books?id=b&id=d", "bob"),
        ("/books?id=e&id=f", "None"),
    ]


async def test_a_bulk_call_that_one_has_spoilt_tells_of_the_same_in_its_halves() -> None:
    def spoilt(attempt: Attempt) -> Step:
        return failing(0.1, status=404) if "?" in attempt.request.target else fine(0.1)

    wire = Listening(play=spoilt)
    client = confidant(wire)
    asking = [
        asyncio.create_task(ask(client.one(book), of(principal)))
        for book, principal in (("a", ALICE), ("b", ALICE), ("c", BOB), ("d", BOB))
    ]
    await asyncio.gather(*asking)
    assert sorted(map(str, wire.heard)) == ["alice"] * 3 + ["bob"] * 3


async def test_two_principals_never_share_an_answer_and_equal_ones_do() -> None:
    wire = Listening(fine(0.1))
    client = confidant(wire)
    richer = ALICE._replace(scopes=frozenset())
    again = Principal(*ALICE)
    asking = [asyncio.create_task(ask(client.book(), of(one))) for one in (ALICE, BOB, richer, again, None)]
    await asyncio.gather(*asking)
    assert wire.heard == ["alice", "bob", "alice", None]
    assert len({header(attempt.request.headers, b"authorization") for attempt in wire.attempts}) == 4


async def test_who_leaves_takes_nobody_along_and_leaves_nothing_of_theirs() -> None:
    wire = Listening(fine(0.2))
    client = confidant(wire)
    leaving = asyncio.create_task(ask(client.book(), of(ALICE)))
    await turns()
    leaving.cancel()
    await asyncio.wait({leaving})
    await asyncio.gather(*(asyncio.create_task(ask(client.book(), of(one))) for one in (BOB, None)))
    with pytest.raises(TooLate):
        await asyncio.create_task(ask(client.book(), of(ALICE, 0.1)))
    assert wire.heard == ["alice", "bob", None, "alice"]


async def test_a_call_that_says_by_itself_who_asks_is_not_contradicted() -> None:
    wire = ScriptedWire(fine())
    client = confidant(wire)
    await ask(client.question(SecretStr("Basic Z2F0ZXdheTpzZWNyZXQ=")), of(ALICE))
    await ask(client.question(None), of(ALICE))
    own, relayed = ([v for k, v in one.request.headers if k == b"authorization"] for one in wire.attempts)
    assert own == [b"Basic Z2F0ZXdheTpzZWNyZXQ="]
    assert [value[:7] for value in relayed] == [b"Bearer "]


async def test_a_service_that_refuses_a_token_has_failed_and_is_not_asked_again() -> None:
    wire = Listening(failing(status=401))
    with pytest.raises(BadStatus):
        await ask(confidant(wire).book(), of(ALICE))
    assert wire.heard == ["alice"]
