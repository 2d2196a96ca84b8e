"""Sessions in memory take a bounded part of it."""

import asyncio

from bff_core.auth.memory_sessions import MemorySessions
from bff_core.auth.session_store import Kept

LONG = 1800.0


async def test_memory_is_bounded_and_those_go_first_whom_nobody_has_used_for_longest() -> None:
    store = MemorySessions(most=3)
    for name in ("ada", "bob", "cy"):
        await store.add(Kept(name, b"1"), [f"sub:{name}"], LONG)
    await store.get("ada", LONG)
    await store.add(Kept("dee", b"1"), [], LONG)
    there = [name for name in ("ada", "bob", "cy", "dee") if await store.get(name, LONG)]
    assert there == ["ada", "cy", "dee"]
    assert store.facts() == {"sessions": 3, "groups": 2}


async def test_memory_forgets_what_is_over_when_something_else_comes() -> None:
    store = MemorySessions()
    for hour in range(1000):
        await store.add(Kept(f"hour {hour}", b"1"), ["sub:ada", f"sid:{hour}"], LONG)
        await asyncio.sleep(3600)
    assert store.facts() == {"sessions": 1, "groups": 2}
