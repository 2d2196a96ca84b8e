"""What a reply says about its completeness: ``Page-Parts``, a list of RFC 9651, and that it is not to be kept."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff_core.context import current

__all__ = ["PageParts"]

_LEFT_OUT = (";missing=skipped", ";missing=forbidden")  # of a page that is as whole as it can be for who asks


class PageParts:
    """Adds the outcome of every part that was composed for the reply."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through and complete the reply's head."""
        context = current()

        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start" and context.outcomes:
                parts, missing = _told(context.outcomes)
                kept = b"no-store" if missing else b"no-cache"  # nobody knows yet how long its parts stay fresh
                message["headers"] = [*message["headers"], (b"page-parts", parts.encode("ascii"))]
                if b"cache-control" not in dict(message["headers"]):
                    message["headers"].append((b"cache-control", kept))
            await send(message)

        await self._app(scope, receive, completed)


def _told(outcomes: Mapping[str, str]) -> tuple[str, bool]:
    """The list, and whether anything that was asked for is missing."""
    if not any(outcomes.values()):
        return ", ".join(outcomes), False
    missing = any(outcome and outcome not in _LEFT_OUT for outcome in outcomes.values())
    return ", ".join(name + parameters for name, parameters in outcomes.items()), missing
