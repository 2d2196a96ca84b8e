"""What is the same whoever asks."""

from starlette.types import ASGIApp, Receive, Scope, Send

from bff_core.context import current

__all__ = ["ForAnybody"]


class ForAnybody:
    """What ``app`` answers may be kept by caches that many share, as it says itself: files of a site, and the like."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say so, and let the request through."""
        current().for_anybody = True
        await self._app(scope, receive, send)
