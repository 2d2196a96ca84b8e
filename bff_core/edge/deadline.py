"""When a request must be answered: the gateway's deadline, or a sooner one that the client asks for."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from bff_core.context import current
from bff_core.errors import InvalidRequest

__all__ = ["Deadline"]

_SECONDS = re.compile(rb"\d{1,9}(\.\d{1,9})?")


class Deadline:
    """Sets the deadline of the current request. ``Request-Timeout: 1.5`` (seconds) can only shorten it."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set it, and let the request through."""
        if scope["type"] == "http":
            context = current()
            context.until = context.started + min(self._seconds, _asked_for(scope) or self._seconds)
        await self._app(scope, receive, send)


def _asked_for(scope: Scope) -> float | None:
    for name, value in scope["headers"]:
        if name == b"request-timeout":
            if not _SECONDS.fullmatch(value) or not (seconds := float(value)):
                raise InvalidRequest(("header.request-timeout", "give seconds, more than 0, like 1.5"))
            return seconds
    return None
