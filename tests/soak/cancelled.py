"""Commands to Redis that are cancelled at every await, while many users read what is theirs: nobody sees another's."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from itertools import count
from random import Random
from time import monotonic
from typing import Any, Final

from bff_core.auth.redis_sessions import RedisSessions
from bff_core.auth.session_store import Kept
from bff_core.errors import IdentityUnavailable
from bff_core.redis import Redis
from tests.soak.interrupted import Interruption, ended, interrupted

__all__ = ["Cancelled", "Mixed", "cancel_everywhere"]

_USERS: Final = 12  # at a time
_CONNECTIONS: Final = 3  # few, so that whoever asks next gets a connection that somebody has just left
_LASTS: Final = 600.0


class Mixed(Exception):
    """Somebody was told what is not theirs."""


@dataclass
class Cancelled:
    """What was done: cancellations by the await that they came at (-1: by chance), and answers that were looked at."""

    cancellations: Counter[int] = field(default_factory=Counter)
    answers: int = 0
    unavailable: int = 0
    seconds: float = 0.0

    @property
    def number(self) -> int:
        """Of cancellations."""
        return self.cancellations.total()


async def cancel_everywhere(
    url: str, seed: int, number: int, make_redis: Callable[..., Redis] = Redis, gateway: str = "soak"
) -> Cancelled:
    """Cancel so many commands, or a few more. Raises ``Mixed``."""
    redis = make_redis(url, connections=_CONNECTIONS)
    done, began = Cancelled(), monotonic()
    users = [_User(RedisSessions(redis, gateway), f"u{one}", Random(seed + one), done) for one in range(_USERS)]
    try:
        async with asyncio.TaskGroup() as group:
            for user in users:
                group.create_task(user.run(number))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # whatever is first ended the others
    finally:
        await redis.close()
    done.seconds = monotonic() - began
    return done


class _User:
    """Has one session, whose content nobody else has. Every command of theirs is cancelled at each of its awaits, both
    while that waits and when it is about to go on, and at turns of the loop by chance. After each they read.

    A command that was cancelled may still be done, even after later ones: so what they read is any of what they wrote.
    """

    def __init__(self, store: RedisSessions, name: str, random: Random, done: Cancelled) -> None:
        self._store, self._name, self._random, self._done = store, name, random, done
        self._versions = count()

    async def run(self, number: int) -> None:
        while self._done.number < number:
            for command in (self._add, self._get, self._replace, self._take, self._take_group, self._lock):
                await self._at_every_await(command)
                await self._by_chance(command)

    async def _at_every_await(self, command: Callable[[], Coroutine[Any, Any, None]]) -> None:
        for step in count():
            ends = [await self._ended(await interrupted(command(), step, when), step) for when in Interruption]
            if not any(ends):
                return

    async def _by_chance(self, command: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.create_task(command())
        for _ in range(self._random.randrange(20)):
            await asyncio.sleep(0)
        task.cancel()
        await self._ended(await ended(task), -1)

    async def _ended(self, task: asyncio.Task[None], step: int) -> bool:
        """Whether it was cancelled. What it was told is looked at, and so is what is told next."""
        if task.cancelled():
            self._done.cancellations[step] += 1
        else:
            task.result()
        await self._add()
        await self._get()
        return task.cancelled()

    async def _add(self) -> None:
        await self._told(self._store.add(self._new(), [self._name], _LASTS), lambda said: said is None)

    async def _get(self) -> None:
        await self._told(self._store.get(self._name, _LASTS), self._is_ours)

    async def _replace(self) -> None:
        await self._told(self._store.replace(self._new(), _LASTS), lambda said: isinstance(said, bool))

    async def _take(self) -> None:
        await self._told(self._store.take(self._name), self._is_ours)

    async def _take_group(self) -> None:
        await self._told(
            self._store.take_group(self._name),
            lambda said: all(kept.name == self._name and self._is_ours(kept.sealed) for kept in said),
        )

    async def _lock(self) -> None:
        await self._told(self._store.lock(self._name, 0.001), lambda said: said is None or isinstance(said, str))

    async def _told(self, answer: Awaitable[Any], is_right: Callable[[Any], bool]) -> None:
        try:
            said = await answer
        except IdentityUnavailable:
            self._done.unavailable += 1
            return
        except (TypeError, ValueError, AttributeError) as odd:
            raise Mixed(f"{self._name} was told something of another kind: {odd!r}") from odd
        self._done.answers += 1
        if not is_right(said):
            raise Mixed(f"{self._name} was told {said!r}")

    def _new(self) -> Kept:
        return Kept(self._name, f"{self._name}:{next(self._versions)}".encode())

    def _is_ours(self, said: Any) -> bool:
        return said is None or said.startswith(f"{self._name}:".encode())
