"""A new connection to an instance, over TCP, TLS or a Unix socket: the one thing of HTTP/1.1 that needs a task."""

import asyncio
from typing import Final

from bff_core.errors import TimedOut, Unreachable
from bff_core.moments import Moments
from bff_core.wire.http1_connection import Connection
from bff_core.wire.http1_pool import InstancePool
from bff_core.wire.promise import Promise, errand

__all__ = ["connected"]

_GOODBYE: Final = 1.0  # seconds that a peer gets to answer our close_notify
_HANDSHAKE: Final = 60.0  # seconds at most, for who has no deadline
_LATER: Final = 0.1


def connected(pool: InstancePool, moments: Moments, until: float) -> Promise[Connection]:
    """The promise of one more connection in ``pool``, before ``until``. Raises ``Busy`` where there is no room."""
    connection = Connection(pool.instance, pool, asyncio.get_running_loop(), pool.heads)
    pool.enter(connection)

    def unclaimed(task: asyncio.Task[Connection]) -> None:
        if task.cancelled() or task.exception() is not None:
            connection.abort()  # it may not have begun, and then nobody else does
        else:
            pool.released(connection)  # for the next one

    promise = errand(_connect(pool, connection, until), unclaimed=unclaimed)
    late = TimedOut(pool.instance.upstream, "no connection in time")
    moments.at(until, lambda: promise.give_up(late))
    return promise


async def _connect(pool: InstancePool, connection: Connection, until: float) -> Connection:
    try:
        await _open(pool, connection, until)
    except (OSError, UnicodeError) as error:  # ssl.SSLError is one of the first, a name that is none the second
        connection.abort()
        raise Unreachable(pool.instance.upstream, f"no connection: {str(error) or type(error).__name__}") from error
    except BaseException:
        connection.abort()
        raise
    return connection


async def _open(pool: InstancePool, connection: Connection, until: float) -> None:
    loop, instance, terms = asyncio.get_running_loop(), pool.instance, pool.terms
    if instance.scheme == "unix":
        await loop.create_unix_connection(lambda: connection, instance.host)
    elif instance.scheme == "http":
        # of several addresses each is tried when the one before it has failed: uvloop does not race them
        await loop.create_connection(lambda: connection, instance.host, instance.port)
    else:
        await loop.create_connection(
            lambda: connection,
            instance.host,
            instance.port,
            ssl=terms.tls,
            server_hostname=terms.server_name or instance.called,
            ssl_handshake_timeout=_time_for_handshake(until - loop.time()),
            ssl_shutdown_timeout=_GOODBYE,
        )


def _time_for_handshake(left: float) -> float:
    # where we give up in the turn in which TCP was connected, uvloop lets its timer run, and keeps what it holds: so it
    # must not be a long one, and yet be later than our own moment, which knows better what it means
    return min(max(left, 0.0) + _LATER, _HANDSHAKE)
