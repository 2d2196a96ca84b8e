"""The tools that tests stand on have to be right themselves."""

import asyncio
from contextvars import ContextVar
from time import monotonic
from typing import Any

import pytest
from fastapi import APIRouter

from bff_core.context import current
from bff_core.errors import BadReply, TimedOut, Unreachable
from bff_core.principal import Principal
from bff_core.testing import HeldUpstream, SimulatedInternet, run, signed_in_as
from bff_core.wire import Instance, Request
from tests.bff_core.small_gateway import browser, small_gateway
from tests.store import answer

SHOP = Instance("shop", "http", "shop.test", 80)


def test_an_hour_takes_no_time_and_yet_an_hour() -> None:
    async def hour() -> float:
        await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(1800))
        return asyncio.get_running_loop().time()

    started = monotonic()
    assert run(hour()) == 3600
    assert monotonic() - started < 60


def test_timers_fire_in_order_and_at_their_moment() -> None:
    async def main() -> list[tuple[str, float]]:
        loop, fired = asyncio.get_running_loop(), []
        for name, when in (("b", 2.0), ("a", 1.0), ("c", 2.5)):
            loop.call_at(when, lambda name=name: fired.append((name, loop.time())))
        await asyncio.sleep(3)
        return fired

    assert run(main()) == [("a", 1.0), ("b", 2.0), ("c", 2.5)]


def test_waiting_for_what_can_never_happen_is_an_error_and_no_hang() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="nothing is left"):
        run(main())


async def test_an_unknown_host_refuses() -> None:
    with pytest.raises(Unreachable):
        await SimulatedInternet().send(SHOP, Request("GET", "/"), until=1, max_body=10)


async def test_an_app_that_raises_has_broken_the_connection() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(Unreachable, match="ZeroDivisionError"):
        await SimulatedInternet({"shop.test": app}).send(SHOP, Request("GET", "/"), until=1, max_body=10)


async def test_half_a_reply_is_a_broken_connection() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    with pytest.raises(Unreachable, match="whole"):
        await SimulatedInternet({"shop.test": app}).send(SHOP, Request("GET", "/"), until=1, max_body=10)


async def test_a_long_body_is_a_bad_reply() -> None:
    internet = SimulatedInternet({"shop.test": answer(b"12345678901")})
    with pytest.raises(BadReply):
        await internet.send(SHOP, Request("GET", "/"), until=1, max_body=10)


async def test_an_upstream_does_not_see_the_context_of_its_caller() -> None:
    secret: ContextVar[str] = ContextVar("secret", default="unknown")
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(secret.get())
        await answer(b"{}")(scope, receive, send)

    secret.set("known")
    await SimulatedInternet({"shop.test": app}).send(SHOP, Request("GET", "/"), until=1, max_body=10)
    assert seen == ["unknown"]


async def test_the_path_arrives_decoded_and_raw() -> None:
    seen = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)
        await answer(b"{}")(scope, receive, send)

    internet = SimulatedInternet({"shop.test": app})
    await internet.send(SHOP, Request("GET", "/a%2Fb?q=%C3%A9"), until=1, max_body=10)
    assert (seen["path"], seen["raw_path"], seen["query_string"]) == ("/a/b", b"/a%2Fb", b"q=%C3%A9")


async def test_a_held_upstream_answers_when_the_test_says_so() -> None:
    held = HeldUpstream()
    internet = SimulatedInternet({"shop.test": held})
    asking = asyncio.create_task(internet.send(SHOP, Request("GET", "/x"), until=10, max_body=100))
    request = await held.asked()
    assert (request.path, asking.done()) == ("/x", False)

    request.answer({"a": 1}, status=201)
    reply = await asking
    assert (reply.status, reply.body) == (201, b'{"a": 1}')


async def test_a_held_upstream_knows_who_stopped_waiting() -> None:
    held = HeldUpstream()
    with pytest.raises(TimedOut):
        await SimulatedInternet({"shop.test": held}).send(SHOP, Request("GET", "/x"), until=1, max_body=100)
    await asyncio.sleep(0)
    assert held.abandoned == 1


# somebody whom a gateway knows

who = APIRouter()


@who.get("/who")
async def subject() -> str | None:
    principal = current().principal
    return principal.subject if principal else None


async def test_several_may_come_to_one_gateway_and_who_shows_nothing_is_nobody() -> None:
    app = small_gateway(who, bearer={"issuer": "https://id.test", "audience": "small"})
    alice, bob = (signed_in_as(app, Principal("https://id.test", name)) for name in ("alice", "bob"))
    async with browser(app) as client:
        seen = [(await client.get("/who", headers=shown)).json() for shown in (alice, bob, {}, alice)]
        stranger = await client.get("/who", headers={"authorization": "Bearer somebody's"})

    assert seen == ["alice", "bob", None, "alice"]
    assert stranger.status_code == 401


async def test_a_gateway_at_which_nobody_can_be_known_says_so() -> None:
    with pytest.raises(ValueError, match=r"^small has nothing in its settings by which somebody can be known$"):
        signed_in_as(small_gateway(who), Principal("https://id.test", "alice"))
