"""Whoever leaves in the midst of it, and whatever fails meanwhile: what has begun to end ends, and no token is lost."""

import asyncio
from typing import Any

import pytest

from bff_core.auth.jwt import TokenRefused
from bff_core.auth.logout_token import LogoutOrder
from bff_core.auth.memory_sessions import MemorySessions
from bff_core.auth.session import name_of
from bff_core.errors import IdentityUnavailable
from tests.bff_core.played_provider import PlayedProvider
from tests.bff_core.test_session_renewal import Desk, later

ORDER = LogoutOrder("alice", "", "j1", 1_800_000_000.0, 1_800_000_120.0)


class SlowSessions(MemorySessions):
    """What is asked of it is done at once, and said a moment later; or it is down, or full."""

    def __init__(self) -> None:
        super().__init__()
        self.down = self.full = False

    async def take(self, name: str) -> bytes | None:
        self.check()
        return await said_later(await super().take(name))

    async def take_group(self, group: str) -> Any:
        self.check()
        return await said_later(await super().take_group(group))

    async def add(self, *args: Any) -> None:
        self.check()
        if self.full:
            raise IdentityUnavailable("the store takes no more")
        await said_later(await super().add(*args))

    async def replace(self, *args: Any) -> bool:
        self.check()
        return await said_later(await super().replace(*args))

    def check(self) -> None:
        if self.down:
            raise IdentityUnavailable("the store is down")


async def said_later(answer: Any) -> Any:
    await asyncio.sleep(0.05)
    return answer


class Orders(PlayedProvider):
    """It orders what a test says."""

    async def logout_order(self, logout_token: str) -> LogoutOrder:
        return ORDER


@pytest.fixture
def desk():
    return Desk(SlowSessions())


async def left_in_the_midst(work) -> None:
    await left_at_once(work)
    await asyncio.sleep(1)


async def left_at_once(work) -> None:
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})


async def test_nothing_that_stands_for_a_session_is_in_what_a_log_may_hold_of_it(desk):
    granted = desk.provider.granted()
    begun = await desk.sessions.begin(granted, nonce="n", instead_of=None)
    begun.session.__dict__["id_token"] = "id-1"
    said = repr(begun) + str(begun) + repr(begun.session) + str(begun.session)
    assert "alice" in said
    assert not any(secret in said for secret in (begun.id, "access-1", "refresh-1", "id-1"))


async def test_a_logout_whose_browser_leaves_is_one_and_what_was_granted_is_revoked(desk):
    session_id = await desk.log_in()
    await left_in_the_midst(desk.sessions.end(session_id, "logged out"))
    assert await desk.found(session_id) is None
    assert desk.provider.revoked == ["refresh-1"]


async def test_a_logout_everywhere_whose_browser_leaves_is_one(desk):
    ids = [await desk.log_in() for _ in range(3)]
    session = await desk.sessions.find(ids[0])
    await left_in_the_midst(desk.sessions.end_all(session))
    assert [await desk.found(one) for one in ids] == [None] * 3
    assert sorted(desk.provider.revoked) == ["refresh-1", "refresh-2", "refresh-3"]


async def test_two_logouts_at_once_are_one_and_both_are_told_whose(desk):
    session_id = await desk.log_in()
    ended = await asyncio.gather(*(desk.sessions.end(session_id, "logged out") for _ in range(2)))
    assert [one.subject for one in ended] == ["alice", "alice"]
    await asyncio.sleep(1)
    assert desk.provider.revoked == ["refresh-1"]


@pytest.fixture
def ordered():
    desk = Desk(SlowSessions())
    desk.provider = Orders()
    desk.sessions = desk.process()
    return desk


async def test_what_the_provider_orders_is_done_when_it_does_not_wait(ordered):
    session_id = await ordered.log_in()
    await left_in_the_midst(ordered.sessions.told_to_end("token"))
    assert await ordered.found(session_id) is None
    assert ordered.provider.revoked == ["refresh-1"]


async def test_what_the_provider_orders_while_the_store_is_down_is_done_when_it_is_back(ordered):
    session_id = await ordered.log_in()
    ordered.store.down = True
    order = asyncio.ensure_future(ordered.sessions.told_to_end("token"))
    await asyncio.sleep(1)
    ordered.store.down = False
    await order
    assert await ordered.found(session_id) is None


async def test_an_order_that_could_not_be_obeyed_is_obeyed_when_it_comes_again(ordered):
    session_id = await ordered.log_in()
    ordered.store.down = True
    with pytest.raises(IdentityUnavailable):
        await ordered.sessions.told_to_end("token")
    ordered.store.down = False
    await ordered.sessions.told_to_end("token")
    assert await ordered.found(session_id) is None
    with pytest.raises(TokenRefused):
        await ordered.sessions.told_to_end("token")


async def test_what_was_granted_for_a_session_that_cannot_be_kept_is_revoked(desk):
    desk.store.down = True
    with pytest.raises(IdentityUnavailable):
        await desk.log_in()
    await asyncio.sleep(1)
    assert desk.provider.revoked == ["refresh-1"]


async def test_a_login_that_cannot_be_kept_leaves_the_session_before_as_it_was(desk):
    session_id = await desk.log_in()
    desk.store.full = True
    with pytest.raises(IdentityUnavailable):
        await desk.sessions.begin(desk.provider.granted(), nonce="n", instead_of=name_of(session_id))
    assert await desk.found(session_id) == "access-1"
    await asyncio.sleep(1)
    assert desk.provider.revoked == ["refresh-2"]


async def test_what_was_granted_to_nobody_is_revoked(desk):
    granted = desk.provider.granted()._replace(id_token=None)
    with pytest.raises(TokenRefused):
        await desk.sessions.begin(granted, nonce="n", instead_of=None)
    await asyncio.sleep(1)
    assert desk.provider.revoked == ["refresh-1"]


async def test_a_login_whose_browser_leaves_is_finished_and_what_was_granted_is_revoked(desk):
    async def exchange():
        await asyncio.sleep(0.1)
        return desk.provider.granted()

    await left_in_the_midst(desk.sessions.begin_with(exchange, nonce="n", instead_of=None))
    assert desk.store.facts()["sessions"] == 0
    assert desk.provider.revoked == ["refresh-1"]


async def test_a_renewal_under_way_at_the_end_of_a_process_is_finished(desk):
    session_id = await desk.log_in()
    await later(desk, 301)
    await left_at_once(desk.found(session_id))
    await desk.sessions.close()

    desk.sessions = desk.process()
    assert await desk.found(session_id) == "access-2"
    assert desk.provider.refreshed == 1


async def test_what_is_revoked_at_the_end_of_a_process_is_revoked(desk):
    session_id = await desk.log_in()
    await desk.sessions.end(session_id, "logged out")
    await desk.sessions.close()
    assert desk.provider.revoked == ["refresh-1"]


async def test_a_provider_that_hangs_keeps_no_process_from_its_end(desk):
    session_id = await desk.log_in()
    await later(desk, 301)
    desk.provider.refresh = lambda _: asyncio.sleep(10_000)
    await left_at_once(desk.found(session_id))
    async with asyncio.timeout(10):
        await desk.sessions.close()
