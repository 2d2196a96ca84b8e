"""One word for whoever starts, stops and routes to gateways."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["HEALTH", "Health", "Readiness"]

HEALTH: Final = frozenset({"/livez", "/readyz"})

_HEADERS: Final = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]


class Health:
    """Answers ``/livez`` (the loop turns) and ``/readyz`` (started, and not stopping) before anything else is asked.

    An upstream's failure does not make a gateway unready: taking every gateway away would make it worse.
    """

    def __init__(self, app: ASGIApp, readiness: "Readiness") -> None:
        self._app = app
        self._readiness = readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the request through."""
        path = scope.get("path")
        if scope["type"] == "http" and path in HEALTH:
            ready = path == "/livez" or self._readiness.ready
            body = b"ok\n" if ready else b"not ready\n"
            headers = [*_HEADERS, (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200 if ready else 503, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        await self._app(scope, receive, send)


class Readiness:
    """Whether the gateway has started and is not stopping."""

    def __init__(self) -> None:
        self.ready = False
