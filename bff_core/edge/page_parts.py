"""What a reply says about its completeness: ``Page-Parts``, a list of RFC 9651."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff_core.context import current

__all__ = ["PageParts"]


class PageParts:
    """Adds the outcome of every part that was composed for the reply."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through and complete the reply's head."""
        context = current()

        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start" and context.outcomes:
                parts = ", ".join(name + parameters for name, parameters in context.outcomes.items())
                message["headers"] = [*message["headers"], (b"page-parts", parts.encode("ascii"))]
            await send(message)

        await self._app(scope, receive, completed)
