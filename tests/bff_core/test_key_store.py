"""Keys are kept in SQLite and in PostgreSQL alike, whoever comes at the same time, and whoever leaves in the middle."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from bff_core.auth.kept_key import KeptKey
from bff_core.auth.key_format import new_key
from bff_core.auth.key_refusals import KeysRefused, StoreFailed
from bff_core.auth.key_store import KeyStore
from tests.bff_core.kept_keys import kept
from tests.bff_core.postgres_server import PostgresServer, Way
from tests.processes import ROOT

pytestmark = pytest.mark.real_time


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[KeyStore]:
    store = KeyStore(url)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def several(url: str, number: int) -> AsyncIterator[list[KeyStore]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(opened(url)) for _ in range(number)]


def a_key(**changed: Any) -> KeptKey:
    return kept(new_key("live"), **{"created_at": 1000, **changed})


async def one(store: KeyStore, key: KeptKey) -> KeptKey:
    (found,) = await store.find("live", [key.id])
    return found


async def run(url: str, *statements: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


async def test_what_is_kept_is_found_as_it_was(database: str) -> None:
    whole = a_key(name="the main one", expires_at=2**40, scopes=frozenset({"a:read", "b"}), replaces="x" * 12)
    plain = a_key(owner="other", plan="", scopes=frozenset())
    async with opened(database) as store:
        await store.add(whole)
        await store.add(plain)
        assert {found.id: found for found in await store.find("live", [whole.id, plain.id, "none"])} == {
            whole.id: whole,
            plain.id: plain,
        }
        assert await store.find("test", [whole.id]) == []
        assert await store.of("live", "other") == [plain]
        assert len(await store.of("live")) == 2


async def test_tables_are_made_once_however_many_start_at_once(database: str) -> None:
    async with several(database, 8) as stores:
        await asyncio.gather(*(store.ready() for store in stores))
        await asyncio.gather(*(store.find("live", ["none"]) for store in stores))


async def test_tables_are_made_once_by_processes_too(database: str) -> None:
    code = (
        "import asyncio, sys\nfrom bff_core.auth.key_store import KeyStore\n"
        "async def main():\n    store = KeyStore(sys.argv[1])\n    await store.ready()\n    await store.close()\n"
        "asyncio.run(main())\n"
    )
    words = [sys.executable, "-c", code, database]
    starts = [subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(child.communicate(timeout=60)[1], child.returncode) for child in starts] == [("", 0)] * 3


async def test_tables_of_another_version_are_left_alone(database: str) -> None:
    async with opened(database) as store:
        await store.ready()
    await run(database, "UPDATE api_keys_schema SET version = 2")
    async with opened(database) as store:
        with pytest.raises(StoreFailed, match=r"of version \[2\], and this program knows 1"):
            await store.find("live", ["none"])


# two keys that live


async def test_an_owner_has_two_live_keys_however_many_are_made_at_once(database: str) -> None:
    for round_ in range(5):
        keys = [a_key(owner=f"acme{round_}") for _ in range(6)]
        async with several(database, 6) as stores:
            made = await asyncio.gather(
                *(store.add(key) for store, key in zip(stores, keys, strict=True)), return_exceptions=True
            )
            assert [type(refusal) for refusal in made if refusal] == [KeysRefused] * 4
            assert len(await stores[0].of("live", f"acme{round_}")) == 2


async def test_what_is_revoked_or_expired_or_of_elsewhere_leaves_room(database: str) -> None:
    async with opened(database) as store:
        expired, revoked = a_key(expires_at=1500), a_key()
        await store.add(expired)
        await store.add(revoked)
        with pytest.raises(KeysRefused, match="acme has 2 live keys in live"):
            await store.add(a_key(created_at=1499))
        await store.add(kept(new_key("test"), created_at=1000))
        await store.add(a_key(created_at=1500))  # its moment is the one that counts
        await store.revoke(revoked, 1501)
        await store.add(a_key(created_at=1501))


async def test_a_rotated_key_expires_after_the_overlap_or_sooner(database: str) -> None:
    async with opened(database) as store:
        old = a_key()
        await store.add(old)
        new = a_key(created_at=1100, replaces=old.id)
        await store.replace(old, new, until=1200)
        assert await one(store, old) == replace(old, expires_at=1200)
        assert await one(store, new) == new

        with pytest.raises(KeysRefused, match="2 live keys"):
            await store.replace(new, a_key(created_at=1150), until=1300)
        assert await one(store, new) == new

        await store.replace(old, a_key(created_at=1160), until=1160)  # at once, which leaves room for the new one
        assert (await one(store, old)).state(1160) == "revoked"
        with pytest.raises(KeysRefused, match="is revoked; only one that is live"):
            await store.replace(await one(store, old), a_key(created_at=1170), until=1300)


async def test_rotating_makes_no_life_longer(database: str) -> None:
    async with opened(database) as store:
        old = a_key(expires_at=1200)
        await store.add(old)
        await store.replace(old, a_key(created_at=1100), until=1300)
        assert (await one(store, old)).expires_at == 1200


async def test_a_key_is_revoked_once(database: str) -> None:
    async with opened(database) as store:
        key = a_key()
        await store.add(key)
        await store.revoke(key, 1500)
        with pytest.raises(KeysRefused, match="was revoked before"):
            await store.revoke(key, 1600)
        assert (await one(store, key)).revoked_at == 1500


async def test_a_use_never_becomes_an_earlier_one(database: str) -> None:
    async with several(database, 2) as (store, other):
        keys = [a_key(owner=str(number)) for number in range(20)]
        for key in keys:
            await store.add(key)
        late, early = ({key.id: moment for key in keys} for moment in (2000, 1900))
        await asyncio.gather(store.note_uses(late), other.note_uses(early))
        assert {key.last_used_at for key in await store.of("live")} == {2000}


# what goes wrong


async def test_whoever_leaves_in_the_middle_leaves_the_pool_whole(database: str) -> None:
    async with opened(database) as store:
        keys = [a_key(owner=str(number)) for number in range(4)]
        for key in keys:
            await store.add(key)
        for turns in range(40):
            visits = [
                asyncio.create_task(store.find("live", [keys[0].id])),
                asyncio.create_task(store.note_uses({keys[1].id: turns})),
                asyncio.create_task(store.add(a_key(owner=f"late{turns}"))),
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            for visit in visits:
                visit.cancel()
            await asyncio.wait(visits)
            assert (await one(store, keys[turns % 4])).owner == keys[turns % 4].owner
        found = await asyncio.gather(*(one(store, keys[number % 4]) for number in range(40)))
        assert [key.owner for key in found] == [str(number % 4) for number in range(40)]
        assert len({key.owner for key in await store.of("live")}) == len(await store.of("live"))


async def test_whoever_leaves_at_any_time_leaves_the_pool_whole(database: str) -> None:
    async with opened(database) as store:
        key = a_key()
        await store.add(key)
        for tenths in range(60):  # of a millisecond: a visit takes about one
            visit = asyncio.create_task(store.find("live", [key.id]))
            await asyncio.sleep(tenths / 10_000)
            visit.cancel()
            await asyncio.wait([visit])
        async with asyncio.timeout(1.5):  # less than is waited for a connection that does not come back
            await asyncio.gather(*(one(store, key) for _ in range(10)))


async def test_a_database_that_goes_away_and_comes_back_is_used_again(postgres: PostgresServer) -> None:
    async with opened(postgres.new_database()) as store:
        key = a_key()
        await store.add(key)
        await asyncio.to_thread(postgres.stop)
        try:
            for _ in range(5):
                with pytest.raises(StoreFailed):
                    await store.find("live", [key.id])
        finally:
            await asyncio.to_thread(postgres.start)
        assert await one(store, key) == key


async def test_connections_that_the_database_has_closed_cost_nobody_anything(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    async with opened(url) as store:
        key = a_key()
        await store.add(key)
        await run(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()",
        )
        assert await one(store, key) == key


async def test_a_database_that_is_silent_is_given_up_in_time() -> None:
    clients: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, client: clients.append(client), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    now = asyncio.get_running_loop().time
    async with server, opened(f"postgresql+asyncpg://bff@127.0.0.1:{port}/keys") as store:
        began = now()
        with pytest.raises(StoreFailed):
            await store.find("live", ["none"])
        assert now() - began < 2.5
        for client in clients:
            client.close()


async def test_a_database_that_falls_silent_is_given_up_in_time_and_used_again(postgres: PostgresServer) -> None:
    now = asyncio.get_running_loop().time
    async with Way(postgres.new_database()) as way, opened(way.url) as store:
        key = a_key()
        await store.add(key)
        way.block()
        for _ in range(2):
            began = now()
            with pytest.raises(StoreFailed, match="no answer within 2 s"):
                await store.find("live", [key.id])
            assert now() - began < 5
        way.clear()
        async with asyncio.timeout(5):
            assert await asyncio.gather(*(one(store, key) for _ in range(10))) == [key] * 10


async def test_a_gateway_that_may_make_no_tables_uses_those_there_are(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    key = a_key()
    async with opened(url) as store:
        await store.add(key)
    await run(
        url,
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON api_keys, api_keys_schema TO reader",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )
    async with opened(url.replace("bff@", "reader@")) as store:
        assert await one(store, key) == key
        with pytest.raises(StoreFailed, match="permission denied"):
            await store.add(a_key())


@pytest.mark.parametrize(
    "url", ["sqlite+aiosqlite:////nowhere/keys.db", "postgresql+asyncpg://u:hush@127.0.0.1:1/keys"]
)
async def test_a_failure_is_one_line_without_a_password(url: str) -> None:
    async with opened(url) as store:
        with pytest.raises(StoreFailed) as failed:
            await store.find("live", ["secret"])
    assert str(failed.value).count("\n") == 0
    assert "hush" not in str(failed.value)
    assert "secret" not in str(failed.value)
