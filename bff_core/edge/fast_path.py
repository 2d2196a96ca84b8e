"""Pages answered without the detours that FastAPI takes for the sake of what a page does not use.

FastAPI asks every route in turn, solves each dependency anew, and keeps two stacks for what may have to be undone:
60 µs for a page with one parameter and one dependency, where what the page needs of it takes 12. What a page needs is
worked out once here, from the same declarations. Whatever is out of the ordinary, an invalid value, a dependency that
is overridden, a route of a kind we do not know, goes the long way, so that there is one answer to it and FastAPI
gives it.
"""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from bff_core.edge.fast_page import FastPage, fast_page
from bff_core.edge.path_index import PathIndex, is_plain, literal_beginning
from bff_core.edge.problems import HANDLERS

__all__ = ["FastPath"]

_TEMPLATE: Final = {Route.matches, APIRoute.matches}  # of routes that take what fits their template and nothing else
_BELOW: Final = {Mount.matches}
_NEVER: Final = {WebSocketRoute.matches, APIWebSocketRoute.matches}


class FastPath:
    """Answers the pages that can be answered so, and leaves the rest to FastAPI. Innermost of all layers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._pages: PathIndex[FastPage | None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the request through."""
        if scope["type"] == "http" and scope["method"] == "GET" and (found := self._find(scope)) is not None:
            values, page = found
            request = page.request(scope, receive, send)
            scope["path_params"] = values
            arguments = page.arguments(values, request)
            if arguments is not None:
                scope["route"], scope["endpoint"] = page.route, page.endpoint
                await _answer(page, request, arguments, send)
                return
            del scope["path_params"]
        await self._app(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[dict[str, str], FastPage] | None:
        app: FastAPI = scope["app"]
        if self._pages is None:  # now, because routes may be added until the first request
            self._pages = _compiled(app)
        found = self._pages.find(scope["path"])
        if found is None or found[1] is None or app.dependency_overrides or scope.get("root_path"):
            return None
        return found  # type: ignore[return-value]  # its second part was just looked at


async def _answer(page: FastPage, request: Any, arguments: list[dict[str, Any]], send: Send) -> None:
    try:
        response = await page.response(arguments)
    except HTTPException as error:
        response = await HANDLERS[HTTPException](request, error)
    except RequestValidationError as error:
        response = await HANDLERS[RequestValidationError](request, error)
    await response(request.scope, request.receive, send)


def _compiled(app: FastAPI) -> PathIndex[FastPage | None]:
    pages: PathIndex[FastPage | None] = PathIndex()
    handlers = {
        what: how for what, how in app.exception_handlers.items() if what is not WebSocketRequestValidationError
    }
    if handlers != HANDLERS:
        return pages  # someone wants to see what pages raise
    unclear: list[str] = []
    for route in iter_route_contexts(app.routes):
        matches = type(route.original_route).matches
        template = route.path or ""
        if matches in _NEVER:
            continue
        if matches not in _TEMPLATE | _BELOW:
            unclear.append("")  # it stands before what follows, and takes who knows what
        elif matches in _BELOW or not is_plain(template):
            unclear.append(literal_beginning(template))
        elif route.methods is None or "GET" in route.methods:
            doubtful = any(_overlap(template, beginning) for beginning in unclear)
            pages.add(template, None if doubtful else fast_page(route))
    return pages


def _overlap(template: str, beginning: str) -> bool:
    own = literal_beginning(template)
    return own.startswith(beginning) or beginning.startswith(own)
