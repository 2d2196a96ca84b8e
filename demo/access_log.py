"""One line of JSON for each request, for whoever wants to watch the store at work."""

import json
import logging
from time import perf_counter

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.instances import Instance

GONE = "demo.gone"  # the ASGI extension under which a server says when its caller hung up

logger = logging.getLogger("demo.access")


class AccessLog:
    """An app that also logs each request at INFO, with status null when nobody answered.

    ``gone_after`` is how long its caller stayed, in seconds, where it hung up before the answer.
    """

    def __init__(self, instance: Instance, app: ASGIApp) -> None:
        self._instance, self._app = instance, app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = perf_counter(), None

        async def watched(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            logger.info(self._line(scope, status, start, perf_counter()))

    def _line(self, scope: Scope, status: int | None, start: float, now: float) -> str:
        gone = scope.get("extensions", {}).get(GONE, lambda: None)()
        return json.dumps(
            {
                "service": self._instance.service,
                "instance": str(self._instance),
                "method": scope["method"],
                "path": scope["path"],
                "query": scope["query_string"].decode("latin-1"),
                "status": status,
                "seconds": round(now - start, 6),
                "gone_after": gone and round(gone - start, 6),
                "x-request-id": Headers(scope=scope).get("x-request-id"),
            }
        )
