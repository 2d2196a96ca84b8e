"""Sessions are kept in memory and in Redis alike."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import count
from typing import Any, ClassVar

import pytest
import pytest_asyncio
import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from bff_core.auth.memory_sessions import MemorySessions
from bff_core.auth.redis_sessions import RedisSessions
from bff_core.auth.session_store import Kept, SessionStore
from bff_core.auth.session_stores import store_of
from bff_core.errors import IdentityUnavailable
from bff_core.redis import Redis
from bff_core.session_settings import SessionSettings
from bff_core.testing import VirtualTimeLoop
from tests.bff_core.redis_server import RedisServer

pytestmark = pytest.mark.real_time

LONG = 60.0
A_MOMENT, AFTER_IT = 0.002, 0.005
numbers = count()


@pytest_asyncio.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[SessionStore]:
    if request.param == "memory":
        made: SessionStore = MemorySessions()
    else:
        made = in_redis(request.getfixturevalue("redis_server"))
    await made.start()
    yield made
    await made.close()


def in_redis(server: RedisServer, gateway: str | None = None) -> RedisSessions:
    """An empty store; the same as others have, where a gateway is named."""
    return RedisSessions(Redis(server.url), gateway or f"web{next(numbers)}")


@asynccontextmanager
async def opened(server: RedisServer, gateway: str | None = None) -> AsyncIterator[RedisSessions]:
    store = in_redis(server, gateway)
    try:
        yield store
    finally:
        await store.close()


async def taken(store: SessionStore, group: str) -> dict[str, bytes]:
    return dict(await store.take_group(group))


async def test_a_session_is_found_by_its_name_and_no_other(store: SessionStore) -> None:
    await store.add(Kept("ada", b"\x00\xff sealed"), [], LONG)
    assert await store.get("ada", LONG) == b"\x00\xff sealed"
    assert await store.get("bob", LONG) is None


async def test_a_session_that_nobody_uses_ends(store: SessionStore) -> None:
    await store.add(Kept("ada", b"1"), ["sub:ada"], A_MOMENT)
    await store.add(Kept("bob", b"2"), ["sub:bob"], LONG)
    await asyncio.sleep(AFTER_IT)
    assert await store.get("ada", LONG) is None
    assert await store.take("ada") is None
    assert not await store.replace(Kept("ada", b"3"), LONG)
    assert await store.take_group("sub:ada") == []
    assert await store.get("bob", LONG) == b"2"


async def test_using_a_session_prolongs_it_and_its_groups_find_it_as_long(store: SessionStore) -> None:
    await store.add(Kept("ada", b"1"), ["sub:ada"], 0.2)
    await store.add(Kept("bob", b"2"), ["sub:bob"], 0.2)
    assert await store.get("ada", LONG) == b"1"
    assert await store.replace(Kept("bob", b"3"), LONG)
    await asyncio.sleep(0.25)
    for name in ("ada", "bob"):
        await store.add(Kept(f"{name} again", b"4"), [f"sub:{name}"], LONG)  # with which those go that are over
    assert await taken(store, "sub:ada") == {"ada": b"1", "ada again": b"4"}
    assert await taken(store, "sub:bob") == {"bob": b"3", "bob again": b"4"}


async def test_using_a_session_may_shorten_it_too(store: SessionStore) -> None:
    await store.add(Kept("ada", b"1"), ["sub:ada"], LONG)
    assert await store.get("ada", A_MOMENT) == b"1"
    await asyncio.sleep(AFTER_IT)
    assert await store.get("ada", LONG) is None


async def test_a_session_is_replaced_only_where_it_is_there(store: SessionStore) -> None:
    await store.add(Kept("ada", b"old"), ["sub:ada"], LONG)
    assert await store.replace(Kept("ada", b"new"), LONG)
    assert await store.get("ada", LONG) == b"new"
    assert await store.take("ada") == b"new"
    assert not await store.replace(Kept("ada", b"newer"), LONG)
    assert await store.get("ada", LONG) is None


async def test_what_is_taken_is_gone_for_its_groups_too(store: SessionStore) -> None:
    await store.add(Kept("ada", b"1"), ["sub:ada", "sid:1"], LONG)
    assert await store.take("ada") == b"1"
    assert await store.take("ada") is None
    assert await store.take_group("sub:ada") == []
    assert await store.take_group("sid:1") == []


async def test_a_group_is_taken_whole_and_nothing_else_with_it(store: SessionStore) -> None:
    await store.add(Kept("phone", b"1"), ["sub:ada", "sid:1"], LONG)
    await store.add(Kept("laptop", b"2"), ["sub:ada", "sid:2"], LONG)
    await store.add(Kept("other", b"3"), ["sub:bob"], LONG)
    assert await taken(store, "sub:ada") == {"phone": b"1", "laptop": b"2"}
    assert await store.take_group("sub:ada") == []
    assert await store.take_group("sid:1") == []
    assert await store.get("phone", LONG) is None
    assert await store.get("other", LONG) == b"3"


async def test_a_name_that_is_added_again_is_in_its_new_groups_alone(store: SessionStore) -> None:
    await store.add(Kept("ada", b"1"), ["old", "both"], LONG)
    await store.add(Kept("ada", b"2"), ["new", "both"], LONG)
    assert await store.take_group("old") == []
    assert await taken(store, "both") == {"ada": b"2"}
    assert await store.take_group("new") == []


async def test_who_gets_the_name_of_one_that_ended_is_in_its_own_groups_alone(store: SessionStore) -> None:
    await store.add(Kept("other", b"0"), ["old"], LONG)
    await store.add(Kept("ada", b"1"), ["old"], A_MOMENT)
    await asyncio.sleep(AFTER_IT)
    await store.add(Kept("ada", b"2"), ["new"], LONG)
    assert await taken(store, "old") == {"other": b"0"}
    assert await taken(store, "new") == {"ada": b"2"}


@pytest.mark.parametrize("group", ["sub:a b\n\"'", "sub:gr\u00fc\u00df dich \u20ac", "sealed", "", "x" * 3000])
async def test_a_group_may_be_called_whatever_a_provider_calls_people(store: SessionStore, group: str) -> None:
    await store.add(Kept("ada", b"1"), [group], LONG)
    assert await store.get("ada", LONG) == b"1"
    assert await taken(store, group) == {"ada": b"1"}


async def test_a_session_may_be_large(store: SessionStore) -> None:
    sealed = bytes(range(256)) * 4000
    await store.add(Kept("ada", sealed), ["sub:ada"], LONG)
    assert await store.get("ada", LONG) == sealed
    assert await taken(store, "sub:ada") == {"ada": sealed}


async def test_only_the_first_may_say_a_name_until_it_is_forgotten(store: SessionStore) -> None:
    assert not await store.said("state")
    assert await store.once("state", 0.2)
    assert not await store.once("state", LONG)
    assert await store.said("state")
    assert not await store.said("other")
    assert await store.once("other", LONG)
    await asyncio.sleep(0.25)
    assert not await store.said("state")
    assert await store.once("state", LONG)


async def test_a_lock_has_one_holder(store: SessionStore) -> None:
    held = await store.lock("ada", LONG)
    assert held
    assert await store.lock("ada", LONG) is None
    assert await store.lock("bob", LONG)
    await store.unlock("ada", held)
    again = await store.lock("ada", LONG)
    assert again not in {None, held}


async def test_a_lock_whose_holder_is_gone_is_free_after_a_while_and_the_late_one_frees_no_other(
    store: SessionStore,
) -> None:
    late = await store.lock("ada", A_MOMENT)
    await asyncio.sleep(AFTER_IT)
    assert late
    assert await store.lock("ada", LONG)
    await store.unlock("ada", late)
    assert await store.lock("ada", LONG) is None


async def test_of_many_at_the_same_time_one_gets_it(store: SessionStore) -> None:
    await store.add(Kept("ada", b"1"), ["sub:ada"], LONG)
    assert sum(await all_of(lambda: store.once("state", LONG))) == 1
    assert len([held for held in await all_of(lambda: store.lock("ada", LONG)) if held]) == 1
    assert [found for found in await all_of(lambda: store.take("ada")) if found] == [b"1"]
    await store.add(Kept("ada", b"1"), ["sub:ada"], LONG)
    assert [found for found in await all_of(lambda: store.take_group("sub:ada")) if found] == [[Kept("ada", b"1")]]


async def all_of(work: Callable[[], Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*(work() for _ in range(50)))


async def test_who_logs_in_while_everybody_is_logged_out_is_found_now_or_by_the_next(store: SessionStore) -> None:
    async def log_in(number: int) -> None:
        await store.add(Kept(f"s{number}", b"1"), ["sub:ada"], LONG)

    async def log_out() -> list[Kept]:
        return await store.take_group("sub:ada")

    work: list[Coroutine[Any, Any, Any]] = [log_in(number) if number % 3 else log_out() for number in range(200)]
    done = await asyncio.gather(*work)
    found = [kept.name for some in [*done, await log_out()] for kept in some or ()]
    assert sorted(found) == sorted(f"s{number}" for number in range(200) if number % 3)


# Of Redis alone


async def test_all_processes_of_a_gateway_know_its_sessions_and_those_of_another_do_not(
    redis_server: RedisServer,
) -> None:
    async with AsyncExitStack() as stack:
        names = ("shop", "shop", "shop2")
        one, two, other = [await stack.enter_async_context(opened(redis_server, name)) for name in names]
        await one.add(Kept("ada", b"1"), ["sub:ada"], LONG)
        assert await two.get("ada", LONG) == b"1"
        assert await other.get("ada", LONG) is None
        assert await other.take_group("sub:ada") == []
        assert sorted(await asyncio.gather(one.once("state", LONG), two.once("state", LONG))) == [False, True]
        assert await taken(two, "sub:ada") == {"ada": b"1"}


async def test_somebody_who_logs_in_every_day_for_years_leaves_nothing_behind(redis_server: RedisServer) -> None:
    async with opened(redis_server, "daily") as store:
        await store.add(Kept("always", b"1"), ["sub:ada"], LONG)
        for day in range(1000):
            await store.add(Kept(f"day {day}", b"1"), ["sub:ada"], 0.001)
        await asyncio.sleep(AFTER_IT)
        await store.add(Kept("today", b"1"), ["sub:ada"], LONG)
        assert redis_server.say("ZCARD", "bff:daily:session:group:sub:ada") == "2"
        await store.take("always")
        await store.take("today")
        assert redis_server.say("KEYS", "bff:daily:*") == ""
        await store.add(Kept("last", b"1"), ["sub:ada"], A_MOMENT)
        await asyncio.sleep(AFTER_IT)
        assert redis_server.say("KEYS", "bff:daily:*") == ""


async def test_everything_in_redis_ends_by_itself_and_has_the_name_of_its_gateway(redis_server: RedisServer) -> None:
    redis_server.say("FLUSHALL")
    async with opened(redis_server, "every") as store:
        await store.add(Kept("ada", b"1"), ["sub:ada"], LONG)
        await store.once("state", LONG)
        await store.lock("ada", LONG)
        keys = redis_server.say("KEYS", "*").split()
        assert len(keys) == 4
        for key in keys:
            assert key.startswith("bff:every:session:")
            assert 0 < int(redis_server.say("PTTL", key)) <= LONG * 1000


async def test_a_redis_whose_scripts_are_gone_is_told_them_again(redis_server: RedisServer) -> None:
    async with opened(redis_server) as store:
        await store.add(Kept("ada", b"1"), [], LONG)
        redis_server.say("SCRIPT", "FLUSH")
        assert await store.get("ada", LONG) == b"1"


async def test_a_redis_that_is_full_keeps_nothing_new_and_what_it_has_is_whole(redis_server: RedisServer) -> None:
    async with opened(redis_server) as store:
        await store.add(Kept("ada", b"1"), ["sub:ada"], LONG)
        with setting(redis_server, "maxmemory", "1"):
            for work in (
                store.add(Kept("bob", b"2"), ["sub:bob"], LONG),
                store.add(Kept("ada", b"2"), ["sub:bob"], LONG),
                store.replace(Kept("ada", b"2"), LONG),
                store.once("state", LONG),
            ):
                with pytest.raises(IdentityUnavailable, match="OOM"):
                    await work
            assert await store.get("ada", LONG) == b"1"  # nobody is logged out by it, and everybody can log out
            assert await taken(store, "sub:ada") == {"ada": b"1"}
        assert await store.get("bob", LONG) is None
        assert await store.once("state", LONG)


async def test_a_replica_does_not_say_that_there_is_no_session(redis_server: RedisServer) -> None:
    async with opened(redis_server) as store:
        with replica(redis_server):  # which may not have heard of it yet
            for work in (
                store.get("ada", LONG),
                store.replace(Kept("ada", b"2"), LONG),
                store.take("ada"),
                store.take_group("sub:ada"),
                store.once("state", LONG),
                store.lock("ada", LONG),
            ):
                with pytest.raises(IdentityUnavailable, match="READONLY"):
                    await work
        assert await store.get("ada", LONG) is None


@contextmanager
def replica(server: RedisServer) -> Iterator[None]:
    server.say("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        server.say("REPLICAOF", "NO", "ONE")


@contextmanager
def setting(server: RedisServer, name: str, value: str) -> Iterator[None]:
    server.say("CONFIG", "SET", name, value)
    try:
        yield
    finally:
        server.say("CONFIG", "SET", name, "0")


async def test_without_redis_nobody_can_say(unused_tcp_port: int) -> None:
    store = RedisSessions(Redis(f"redis://127.0.0.1:{unused_tcp_port}"), "web")
    await store.start()
    for work in (
        store.add(Kept("ada", b"1"), [], LONG),
        store.get("ada", LONG),
        store.replace(Kept("ada", b"1"), LONG),
        store.take("ada"),
        store.take_group("sub:ada"),
        store.once("state", LONG),
        store.lock("ada", LONG),
        store.unlock("ada", "held"),
    ):
        with pytest.raises(IdentityUnavailable):
            await work
    assert store.facts()["state"] == "down"
    await store.close()


@pytest.mark.parametrize(("store", "kind"), [("memory", MemorySessions), ("redis://127.0.0.1:1", RedisSessions)])
async def test_sessions_are_kept_where_the_settings_say(store: str, kind: type[SessionStore]) -> None:
    settings = SessionSettings(
        origin="https://shop.test",
        issuer="https://id.test",
        client_id="web",
        client_secret="secret",
        keys="A" * 43 + "=",
        store=store,
    )
    assert isinstance(store_of(settings, "web"), kind)


# Against a model

NAMES = st.sampled_from(["ada", "bob", "cy"])
GROUPS = st.sets(st.sampled_from(["sub", "sid", "all"]))
SEALED = st.binary(max_size=4)


class AgainstAModel(RuleBasedStateMachine):
    """What lasts is used at once, and what lasts for a moment is used after it: so the clocks need not be the same."""

    def __init__(self) -> None:
        super().__init__()
        self.runner, self.store = self.make()
        self.kept: dict[str, tuple[bytes, set[str]]] = {}
        self.said: set[str] = set()
        self.held: dict[str, str] = {}

    def make(self) -> tuple[asyncio.Runner, SessionStore]:
        return asyncio.Runner(loop_factory=VirtualTimeLoop), MemorySessions()

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def wait(self) -> None:
        self.run(asyncio.sleep(AFTER_IT))

    @rule(name=NAMES, sealed=SEALED, groups=GROUPS, lasts=st.booleans())
    def add(self, name: str, sealed: bytes, groups: set[str], lasts: bool) -> None:
        self.run(self.store.add(Kept(name, sealed), groups, LONG if lasts else A_MOMENT))
        self.kept[name] = (sealed, groups)
        self.end_unless(lasts, name)

    @rule(name=NAMES, lasts=st.booleans())
    def get(self, name: str, lasts: bool) -> None:
        found = self.run(self.store.get(name, LONG if lasts else A_MOMENT))
        assert found == self.kept.get(name, (None,))[0]
        self.end_unless(lasts, name)

    @rule(name=NAMES, sealed=SEALED, lasts=st.booleans())
    def replace(self, name: str, sealed: bytes, lasts: bool) -> None:
        done = self.run(self.store.replace(Kept(name, sealed), LONG if lasts else A_MOMENT))
        assert done is (name in self.kept)
        if done:
            self.kept[name] = (sealed, self.kept[name][1])
        self.end_unless(lasts, name)

    @rule(name=NAMES)
    def take(self, name: str) -> None:
        assert self.run(self.store.take(name)) == self.kept.pop(name, (None,))[0]

    @rule(group=st.sampled_from(["sub", "sid", "all", "none"]))
    def take_group(self, group: str) -> None:
        expected = {name: sealed for name, (sealed, groups) in self.kept.items() if group in groups}
        found = self.run(self.store.take_group(group))
        assert len(found) == len(expected)
        assert dict(found) == expected
        for name in expected:
            del self.kept[name]

    @rule(name=NAMES, lasts=st.booleans())
    def once(self, name: str, lasts: bool) -> None:
        first = self.run(self.store.once(name, LONG if lasts else A_MOMENT))
        assert first is (name not in self.said)
        if lasts:
            self.said.add(name)
        elif first:
            self.wait()

    @rule(name=NAMES, lasts=st.booleans())
    def lock(self, name: str, lasts: bool) -> None:
        held = self.run(self.store.lock(name, LONG if lasts else A_MOMENT))
        assert (held is None) is (name in self.held)
        if held and lasts:
            self.held[name] = held
        elif held:
            self.wait()

    @rule(name=NAMES, ours=st.booleans())
    def unlock(self, name: str, ours: bool) -> None:
        held = self.held.pop(name, "nothing") if ours else "of another"
        self.run(self.store.unlock(name, held))

    def end_unless(self, lasts: bool, name: str) -> None:
        if not lasts:
            self.kept.pop(name, None)
            self.wait()


TestMemoryAgainstAModel = AgainstAModel.TestCase
TestMemoryAgainstAModel.settings = SHORT = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


class RedisAgainstAModel(AgainstAModel):
    server: ClassVar[RedisServer]

    def make(self) -> tuple[asyncio.Runner, SessionStore]:
        return asyncio.Runner(loop_factory=uvloop.new_event_loop), in_redis(self.server)


def test_redis_does_what_the_model_does(redis_server: RedisServer) -> None:
    RedisAgainstAModel.server = redis_server
    test = RedisAgainstAModel.TestCase()
    test.settings = SHORT
    test.runTest()
