"""When a request must be answered: the gateway's deadline, or a sooner one that the client asks for."""

import asyncio
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff_core.context import current
from bff_core.errors import InvalidRequest, TooLate

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set it, and let the request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = current()
        context.until = context.started + min(self._seconds, _asked_for(scope) or self._seconds)
        time = asyncio.timeout_at(context.until)

        async def send_in_time(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                time.reschedule(None)  # the client has its answer; what the app does after that is its own affair

        try:
            async with time:
                await self._app(scope, receive, send_in_time)
        except TimeoutError:
            if not time.expired():
                raise  # a bug of the page
            raise TooLate("the page outlasted its deadline") from None


def _asked_for(scope: Scope) -> float | None:
    for name, value in scope["headers"]:
        if name == b"request-timeout":
            if not _SECONDS.fullmatch(value) or not (seconds := float(value)):
                raise InvalidRequest(("header.request-timeout", "give seconds, more than 0, like 1.5"))
            return seconds
    return None
