"""Pages answered without the detours that FastAPI takes for the sake of what a page does not use.

FastAPI asks every route in turn, solves each dependency anew, and keeps two stacks for what may have to be undone:
60 µs for a page with one parameter and one dependency, where what the page needs of it takes 12. What a page needs is
worked out once here, from the same declarations. Whatever is out of the ordinary, an invalid value, a query, a
dependency that is overridden, goes the long way, so that there is one answer to it and FastAPI gives it.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from inspect import iscoroutinefunction
from typing import Any, Final

from fastapi import FastAPI
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts, serialize_response
from fastapi.security.base import SecurityBase
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from bff_core.edge.json_body import StrictRoute
from bff_core.edge.path_index import PathIndex, is_plain, literal_beginning
from bff_core.edge.problems import HANDLERS

__all__ = ["FastPath"]

_UNUSED: Final = (
    "header_params",
    "cookie_params",
    "body_params",
    "websocket_param_name",
    "http_connection_param_name",
    "response_param_name",
    "background_tasks_param_name",
    "security_scopes_param_name",
    "own_oauth_scopes",
    "parent_oauth_scopes",
    "concurrency",
)
_EXCEPTIONS: Final = {*HANDLERS, WebSocketRequestValidationError}


class FastPath:
    """Answers the pages that can be answered so, and leaves the rest to FastAPI. Innermost of all layers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._pages: PathIndex[_Page | None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the request through."""
        if scope["type"] == "http" and scope["method"] == "GET" and (page := self._find(scope)) is not None:
            arguments = page.arguments(scope["path_params"])
            if arguments is not None:
                await page.answer(Request(scope, receive, send), arguments, send)
                return
            del scope["path_params"]
        await self._app(scope, receive, send)

    def _find(self, scope: Scope) -> "_Page | None":
        app: FastAPI = scope["app"]
        if self._pages is None:  # now, because routes may be added until the first request
            self._pages = _compiled(app)
        found = self._pages.find(scope["path"])
        if found is None or app.dependency_overrides or scope.get("root_path"):
            return None
        values, page = found
        if page is None or (page.asks and scope["query_string"]):
            return None
        scope["path_params"], scope["route"], scope["endpoint"] = values, page.route, page.steps[-1].call
        return page


@dataclass(frozen=True, slots=True)
class _Step:
    """One function to call: a dependency, or the page itself."""

    call: Callable[..., Awaitable[Any]]
    path_params: tuple[Any, ...]
    defaults: Mapping[str, Any]
    needs: tuple[tuple[str, Callable[..., Any]], ...]
    request: str | None


@dataclass(frozen=True, slots=True)
class _Page:
    """The steps of one page, each after those it needs. ``asks``: it has a use for a query."""

    route: BaseRoute
    steps: tuple[_Step, ...]
    asks: bool
    response_class: Any
    shape: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self, values: Mapping[str, str]) -> list[dict[str, Any]] | None:
        """What each step is called with, as far as that is known before; ``None`` where a value is not valid."""
        arguments = []
        for step in self.steps:
            found = dict(step.defaults)
            for param in step.path_params:
                found[param.name], wrong = param.validate(values[param.alias], {}, loc=())
                if wrong:
                    return None
            arguments.append(found)
        return arguments

    async def answer(self, request: Request, arguments: list[dict[str, Any]], send: Send) -> None:
        """Call every step, and send what the last one gives."""
        try:
            response = await self._response(request, arguments)
        except (HTTPException, RequestValidationError) as error:
            response = await HANDLERS[HTTPException if isinstance(error, HTTPException) else type(error)](
                request, error
            )
        await response(request.scope, request.receive, send)

    async def _response(self, request: Request, arguments: list[dict[str, Any]]) -> Response:
        solved: dict[Callable[..., Any], Any] = {}
        result: Any = None
        for step, given in zip(self.steps, arguments, strict=True):
            if step.request is not None:
                given[step.request] = request
            for name, call in step.needs:
                given[name] = solved[call]
            result = solved[step.call] = await step.call(**given)
        if isinstance(result, Response):
            return result
        content = await serialize_response(response_content=result, **self.shape)
        if self.shape["dump_json"]:
            return Response(content, media_type="application/json")
        drawn: Response = self.response_class(content)
        return drawn


def _compiled(app: FastAPI) -> PathIndex[_Page | None]:
    pages: PathIndex[_Page | None] = PathIndex()
    if set(app.exception_handlers) - _EXCEPTIONS:
        return pages  # someone wants to see what pages raise
    unclear: list[str] = []
    for route in iter_route_contexts(app.routes):
        template = route.path_format or ""
        if not is_plain(template):  # it stands before what follows, and takes who knows what
            unclear.append(literal_beginning(template))
        elif route.methods is None or "GET" in route.methods:
            doubtful = any(_overlap(template, beginning) for beginning in unclear)
            pages.add(template, None if doubtful else _page(route))
    return pages


def _overlap(template: str, beginning: str) -> bool:
    own = literal_beginning(template)
    return own.startswith(beginning) or beginning.startswith(own)


def _page(route: RouteContext) -> _Page | None:
    """The page of a route; ``None`` for one that asks for more than is done here."""
    if type(route.original_route) not in {APIRoute, StrictRoute}:
        return None
    if route.body_field or route.status_code or route.max_body_size is not None or route.stream_item_field:
        return None
    if route.is_sse_stream or route.is_json_stream:
        return None
    try:
        steps = tuple({step.call: step for step in _steps(route.dependant)}.values())
    except _UnusualError:
        return None
    default = isinstance(route.response_class, DefaultPlaceholder)
    shape = {
        "field": route.response_field,
        "dump_json": default and route.response_field is not None,
        "include": route.response_model_include,
        "exclude": route.response_model_exclude,
        "by_alias": route.response_model_by_alias,
        "exclude_unset": route.response_model_exclude_unset,
        "exclude_defaults": route.response_model_exclude_defaults,
        "exclude_none": route.response_model_exclude_none,
    }
    asks = any(step.defaults for step in steps)
    response_class = JSONResponse if default else route.response_class
    return _Page(route.original_route, steps, asks, response_class, shape)


class _UnusualError(Exception):
    """A page asks for more than is done here."""


def _steps(dependant: Dependant) -> Iterator[_Step]:
    for needed in dependant.dependencies:
        if not needed.use_cache:
            raise _UnusualError
        yield from _steps(needed)
    call = dependant.call
    if any(getattr(dependant, name) for name in _UNUSED) or isinstance(call, SecurityBase):
        raise _UnusualError
    if call is None or not iscoroutinefunction(call):
        raise _UnusualError
    yield _Step(
        call,
        tuple(dependant.path_params),
        {param.name: _default(param) for param in dependant.query_params},
        tuple((needed.name, needed.call) for needed in dependant.dependencies if needed.name and needed.call),
        dependant.request_param_name,
    )


def _default(param: Any) -> Any:
    default = param.get_default()
    if default is not None and not isinstance(default, str | int | float | bool | Enum | frozenset):
        raise _UnusualError  # none at all, or one that a page could change
    return default
