"""When a request must be answered: the gateway's deadline, or a sooner one that the client asks for."""

import asyncio
import re
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff_core.context import current
from bff_core.errors import InvalidRequest, TooLate
from bff_core.moments import Moments

__all__ = ["Deadline"]

_SECONDS = re.compile(rb"\d{1,9}(\.\d{1,9})?")


class Deadline:
    """Sets the deadline of the current request, and ends what outlasts it.

    ``Request-Timeout: 1.5`` (seconds) can only shorten it. Calls and pages keep to it by themselves, and end sooner
    with a better answer; this is for everything else: a page that waits for something of its own (504), a client that
    does not take what is sent (the connection is closed).
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds
        self._moments: Moments | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set it, and let the request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = current()
        context.until = context.started + min(self._seconds, _asked_for(scope) or self._seconds)
        task = asyncio.current_task()
        assert task is not None
        limit = _Limit(task, send)
        self._moments_of(asyncio.get_running_loop()).at(context.until, limit.expire)
        try:
            await self._app(scope, receive, limit.send)
        except asyncio.CancelledError:
            if not limit.expired or task.uncancel():
                raise
            raise TooLate("the page outlasted its deadline") from None
        finally:
            limit.end()

    def _moments_of(self, loop: asyncio.AbstractEventLoop) -> Moments:
        if self._moments is None or self._moments.loop is not loop:
            self._moments = Moments(loop)
        return self._moments


class _Limit:
    """Cancels a request at its deadline, unless the client has its answer by then.

    Not an ``asyncio.timeout``, which costs four times as much.
    """

    __slots__ = ("_send", "expired", "task")

    def __init__(self, task: asyncio.Task[Any], send: Send) -> None:
        self.task: asyncio.Task[Any] | None = task
        self.expired = False
        self._send = send

    def expire(self) -> None:
        """It is time."""
        if self.task is not None:
            self.expired = True
            self.task.cancel("the deadline has passed")

    def end(self) -> None:
        """The request is over. Whoever still keeps us for the sake of the moment must not keep it."""
        self.task, self._send = None, _nowhere

    async def send(self, message: Message) -> None:
        """Hand on what the app says."""
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.task = None  # what the app does after its answer is its own affair


async def _nowhere(_: Message) -> None:
    raise RuntimeError("a request that is over says nothing")


def _asked_for(scope: Scope) -> float | None:
    for name, value in scope["headers"]:
        if name == b"request-timeout":
            if not _SECONDS.fullmatch(value) or not (seconds := float(value)):
                raise InvalidRequest(("header.request-timeout", "give seconds, more than 0, like 1.5"))
            return seconds
    return None
