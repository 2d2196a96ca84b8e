"""One connection to Redis: a question and the whole answer to it, or it is closed.

redis-py closes a connection whose reply was not read to its end, whatever ended the reading. This does not depend on
that: a connection is open only between two questions, so one whose question was left can never be asked another
(CVE-2023-28858, redis/redis-py#2665). Its pools, retries and time limits are not used: ``bff_core.redis`` decides all
three, and of its time limits two (``asyncio.wait_for`` on sending, ``async_timeout`` on connecting) lose a cancellation
that comes in the moment in which they end.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio.connection import Connection, RedisSSLContext, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ResponseError

from bff_core.redis_url import RedisUrl
from bff_core.tls import client_context

__all__ = ["RedisConnection", "Refused", "Unanswered", "Word", "tls_of"]

Word = str | bytes | int
"""A word of a command."""

_CODE: Final = re.compile(r"[A-Z]{2,20}(?=\s|$)")
_LONGEST: Final = 200  # characters of what is told about a failure


class Unanswered(Exception):
    """There is no answer; whether it was done is not known. The message holds nothing of what was asked."""


class Refused(Exception):
    """Redis answered that it does not do this. The message is its word for why, such as ``OOM``, and nothing else: what
    it says more may hold what was asked.
    """


def tls_of(url: RedisUrl) -> RedisSSLContext | None:
    """How TLS is spoken there, if it is. Made once, because reading all that a machine trusts takes a while."""
    if url.tls is None:
        return None
    tls = RedisSSLContext()
    tls.context = client_context(url.tls)  # which verifies, unlike one that it would make itself
    tls.context.set_alpn_protocols([])  # what is spoken inside is not HTTP
    return tls


class RedisConnection:
    """Made closed. ``open`` and ``ask`` raise ``Unanswered``, and close it; so does whoever cancels them, and they take
    as long as they are left.
    """

    def __init__(self, url: RedisUrl, tls: RedisSSLContext | None) -> None:
        self._connection = _connection(url, tls)
        self.is_open = False
        """It may be asked: all that was asked has been answered."""

    async def open(self) -> None:
        """Connect, show who we are, and choose the database."""
        try:
            await self._connection.connect()  # type: ignore[no-untyped-call]  # it has no types
            self.is_open = True
        except ResponseError as refusal:
            raise Unanswered(f"it lets nobody in: {_code(refusal)}") from None
        except Exception as failure:  # noqa: BLE001  what somebody else's server says may be anything
            raise Unanswered(_reason(failure)) from None
        finally:
            if not self.is_open:
                await self.close()

    async def ask(self, words: Sequence[Word]) -> Any:
        """The whole answer, where text is bytes. Raises ``Refused`` too, and is open after it."""
        assert self.is_open
        packed = self._connection.pack_command(*words)  # outside, because what cannot be packed is a bug
        self.is_open = False
        try:
            await self._connection.send_packed_command(packed)
            answer = await self._connection.read_response()
            self.is_open = True
        except ResponseError as refusal:
            self.is_open = True  # because this is an answer, and it was read to its end
            raise Refused(_code(refusal)) from None
        except Exception as failure:  # noqa: BLE001  see above
            raise Unanswered(_reason(failure)) from None
        finally:
            if not self.is_open:
                await self.close()
        return answer

    async def is_silent(self) -> bool:
        """Nobody has closed it, and there is nothing to read that nobody asked for."""
        return self.is_open and not await self._connection.can_read()

    async def close(self) -> None:
        """At once: nothing is waited for, so that it is done in a task that is cancelled again."""
        self.is_open = False
        await self._connection.disconnect(nowait=True)


def _connection(url: RedisUrl, tls: RedisSSLContext | None) -> Connection | UnixDomainSocketConnection:
    settings: dict[str, Any] = {
        "db": url.database,
        "username": url.user,
        "password": url.password,
        "protocol": 3,
        "socket_connect_timeout": None,
        "socket_timeout": None,
        "driver_info": None,  # or every new connection would wait for two more answers
    }
    if url.host is None:
        return UnixDomainSocketConnection(path=url.place, **settings)
    if tls is None:
        return Connection(host=url.host, port=url.port, **settings)
    connection = SSLConnection(host=url.host, port=url.port, **settings)
    connection.ssl_context = tls
    return connection


def _code(refusal: ResponseError) -> str:
    found = _CODE.match(refusal.status_code or str(refusal))
    return found[0] if found else "ERR"


def _reason(failure: Exception) -> str:
    said = (str(failure).splitlines() or [""])[0] or repr(failure)
    return said[:_LONGEST]
