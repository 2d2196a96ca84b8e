"""Redis, or Valkey: commands and scripts that end within a second, whatever has become of it.

Several commands are under way at once, each on a connection of its own. While there is no answer everyone is refused at
once, and an errand asks until there is: so nobody waits to find out, and it is known a moment after it is back.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from contextvars import Context
from datetime import UTC, datetime
from hashlib import sha1
from typing import Any, Final

from bff_core.redis_connection import RedisConnection, Refused, Unanswered, Word, tls_of
from bff_core.redis_url import RedisUrl

__all__ = ["Redis", "RedisRefused", "RedisUnavailable", "Script", "Word"]

_log = logging.getLogger("bff.redis")

_WITHIN: Final = 0.9  # seconds for everything: a connection that gets free, a try, and another one
_TRY: Final = 0.4  # seconds for connecting and an answer; so that two of them fit
_FRESH: Final = 1.0  # seconds since the last answer in which a connection is believed to be one
_REST: Final = 0.4  # seconds between two questions whether it is back
_SAID: Final = 10.0  # seconds in which it is said once that commands are refused
_NOT_HERE: Final = frozenset({"READONLY", "MASTERDOWN", "CLUSTERDOWN"})  # another connection may lead to who can

_Ask = Callable[[RedisConnection], Awaitable[Any]]


class RedisUnavailable(Exception):
    """There is no answer; whether it was done is not known. One line, without what was asked."""


class RedisRefused(RedisUnavailable):
    """Redis answered that it does not do this, and nothing is done: full (``OOM``), a replica (``READONLY``), a bug of
    ours (``WRONGTYPE``).
    """


class Script:
    """Lua that Redis runs in one step. It is sent once, and then called by its digest."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()  # what EVALSHA knows it by


class Redis:
    """Connects when it is needed. At most ``connections`` commands are under way; the others wait for their turn.

    Cancelling one closes its connection, and harms no other.
    """

    def __init__(self, url: str, *, connections: int = 20) -> None:
        self._url = RedisUrl.parse(url)
        self._tls = tls_of(self._url)
        self._limit = connections
        self._turns = asyncio.Semaphore(connections)
        self._idle: list[tuple[RedisConnection, float]] = []  # each with the moment of its last answer
        self._errands: set[asyncio.Task[None]] = set()
        self._asking: asyncio.Task[None] | None = None
        self._is_closed = False
        self._in_use = self._commands = self._failures = self._refusals = 0
        self._answered_at = self._said_at = -_SAID
        self._failure: str | None = None  # while there is no answer
        self._last_failure: str | None = None
        self._state, self._since = "not asked yet", _now()

    async def command(self, *words: Word, repeatable: bool = False) -> Any:
        """The answer to a command, where text is bytes. Raises ``RedisUnavailable``.

        ``repeatable`` where doing it twice is the same as once: it is sent again where a connection breaks under it.
        """
        return await self._answer(lambda connection: connection.ask(words), repeatable=repeatable)

    async def script(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Word] = (), *, repeatable: bool = False
    ) -> Any:
        """The same of a script, with its ``KEYS`` and ``ARGV``."""
        rest = (len(keys), *keys, *arguments)

        async def ask(connection: RedisConnection) -> Any:
            try:
                return await connection.ask(("EVALSHA", script.digest, *rest))
            except Refused as refused:
                if str(refused) != "NOSCRIPT":  # said by one that was started anew, before it does anything
                    raise
            return await connection.ask(("EVAL", script.text, *rest))

        return await self._answer(ask, repeatable=repeatable)

    def facts(self) -> dict[str, Any]:
        """How it is, for operators: since when, and numbers since the start."""
        return {
            "at": str(self._url),
            "state": self._state,
            "since": self._since,
            "commands": self._commands,
            "failures": self._failures,
            "refusals": self._refusals,
            "last_failure": self._last_failure,
            "in_use": self._in_use,
            "limit": self._limit,
        }

    async def start(self) -> None:
        """Ask whether it is there, and wait for nothing."""
        self._send(self._greet())

    async def close(self) -> None:
        """Close connections: those in use once they are not. Errands end."""
        self._is_closed = True
        for errand in self._errands:
            errand.cancel()
        if self._errands:
            await asyncio.wait(self._errands)
        await self._close_idle()

    async def _answer(self, ask: _Ask, *, repeatable: bool) -> Any:
        self._refuse_while_there_is_no_answer()
        self._commands += 1
        try:
            async with asyncio.timeout(_WITHIN), self._turns:
                self._refuse_while_there_is_no_answer()  # which may be known by now
                self._in_use += 1
                try:
                    return await self._tried(ask, repeatable=repeatable)
                finally:
                    self._in_use -= 1
        except TimeoutError:
            self._failures += 1
            raise RedisUnavailable(
                f"Redis: no answer within {_WITHIN:g} s; {self._in_use} commands before it"
            ) from None

    async def _tried(self, ask: _Ask, *, repeatable: bool) -> Any:
        began = _clock()
        try:
            return await self._tried_twice(ask, repeatable=repeatable)
        except Refused as refused:
            self._refused(str(refused))
            raise RedisRefused(f"Redis refuses: {refused}") from None
        except Unanswered as failure:
            await self._failed(str(failure), began)
            raise RedisUnavailable(f"Redis: {failure}") from None

    async def _tried_twice(self, ask: _Ask, *, repeatable: bool) -> Any:
        kept = await self._kept(proven=not repeatable)
        if kept is not None:
            try:
                return await self._once(kept, ask)
            except Refused as refused:
                if str(refused) not in _NOT_HERE:
                    raise
            except Unanswered:
                if not repeatable:
                    raise
            await self._close_idle()  # see above
        return await self._once(self._new(), ask)

    async def _kept(self, *, proven: bool) -> RedisConnection | None:
        """One that is open. Redis may have been restarted since, and what must not be asked twice is asked over one
        that is ``proven`` to lead somewhere.
        """
        while self._idle:
            connection, answered_at = self._idle.pop()
            if not await connection.is_silent():
                await connection.close()
            elif not proven or _clock() - answered_at < _FRESH or await self._is_answered(connection):
                return connection
            else:
                await self._close_idle()  # because they lead to the same one
        return None

    async def _is_answered(self, connection: RedisConnection) -> bool:
        with suppress(Unanswered, Refused):
            await self._ask(connection, _ping)
        return connection.is_open

    async def _once(self, connection: RedisConnection, ask: _Ask) -> Any:
        try:
            return await self._ask(connection, ask)
        finally:
            if connection.is_open and self._is_closed:
                await connection.close()
            elif connection.is_open:  # and that is only where the whole answer has been read
                self._idle.append((connection, _clock()))

    async def _ask(self, connection: RedisConnection, ask: _Ask) -> Any:
        try:
            async with asyncio.timeout(_TRY):
                if not connection.is_open:
                    await connection.open()
                answer = await ask(connection)
        except TimeoutError:
            raise Unanswered(f"no answer within {_TRY:g} s") from None
        except Refused:
            self._answered()
            raise
        self._answered()
        return answer

    def _new(self) -> RedisConnection:
        return RedisConnection(self._url, self._tls)

    async def _close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            await connection.close()

    def _answered(self) -> None:
        self._answered_at = _clock()
        if self._state != "up":
            if self._failure is not None:
                _log.info("Redis at %s answers again", self._url)
            self._failure = None
            self._state, self._since = "up", _now()

    async def _failed(self, why: str, began: float) -> None:
        self._failures += 1
        self._last_failure = why
        # where others were answered meanwhile, it was this connection alone
        if self._answered_at <= began and self._failure is None and not self._is_closed:
            self._failure = why
            self._state, self._since = "down", _now()
            _log.warning("Redis at %s does not answer: %s", self._url, why)
            if self._asking is None or self._asking.done():
                self._asking = self._send(self._ask_until_it_answers())
            await self._close_idle()

    def _refused(self, why: str) -> None:
        self._refusals += 1
        self._last_failure = why
        if _clock() - self._said_at >= _SAID:
            self._said_at = _clock()
            _log.warning("Redis at %s refuses commands: %s", self._url, why)

    def _refuse_while_there_is_no_answer(self) -> None:
        if self._failure is not None:
            raise RedisUnavailable(f"Redis: {self._failure}")

    def _send(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        errand = asyncio.get_running_loop().create_task(work, context=Context())  # and not that of a request
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)
        return errand

    async def _greet(self) -> None:
        with suppress(RedisUnavailable):
            await self.command("PING", repeatable=True)

    async def _ask_until_it_answers(self) -> None:
        while self._failure is not None:
            try:
                await self._once(self._new(), _ping)
            except Refused:
                return  # which is an answer
            except Unanswered as failure:
                if self._failure is None:
                    return  # somebody was answered meanwhile, over another connection
                self._failure = self._last_failure = str(failure)
                # at random, because every gateway has lost it in the same moment
                await asyncio.sleep(random.uniform(_REST / 2, _REST))  # noqa: S311  no secret


async def _ping(connection: RedisConnection) -> Any:
    return await connection.ask(("PING",))


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
