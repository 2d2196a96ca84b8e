"""What a page needs before it can be drawn, worked out once from what it declares to FastAPI."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from inspect import iscoroutinefunction, unwrap
from typing import Any, Final

from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args
from fastapi.routing import APIRoute, RouteContext, serialize_response
from fastapi.security.base import SecurityBase
from fastapi.utils import is_body_allowed_for_status_code
from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from bff_core.edge.json_body import StrictRequest, StrictRoute
from bff_core.edge.path_index import holes

__all__ = ["FastPage", "fast_page"]

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
_REQUESTS: Final[dict[type[BaseRoute], type[Request]]] = {APIRoute: Request, StrictRoute: StrictRequest}
_NO_QUERY: Final = QueryParams()


@dataclass(frozen=True, slots=True)
class _Step:
    """One function to call: a dependency, or the page itself. ``unasked`` is what an empty query comes to, where that
    is always the same.
    """

    call: Callable[..., Awaitable[Any]]
    path_params: tuple[tuple[str, str, Callable[..., Any]], ...]
    query_params: tuple[Any, ...]
    unasked: Mapping[str, Any] | None
    needs: tuple[tuple[str, Callable[..., Any]], ...]
    request: str | None


@dataclass(frozen=True, slots=True)
class FastPage:
    """The steps of one page, each after those it needs."""

    route: BaseRoute
    endpoint: Callable[..., Any]
    request: type[Request]
    steps: tuple[_Step, ...]
    response_class: Any
    shape: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self, values: Mapping[str, str], request: Request) -> list[dict[str, Any]] | None:
        """What each step is called with, as far as that is known before; ``None`` where a value is not valid."""
        arguments, unasked = [], not request.scope["query_string"]
        for step in self.steps:
            given = {}
            for name, alias, validate in step.path_params:
                given[name], wrong = validate(values[alias])
                if wrong:
                    return None
            if unasked and step.unasked is not None:
                given.update(step.unasked)
            elif step.query_params:
                asked, wrong = request_params_to_args(step.query_params, request.query_params)
                if wrong:
                    return None
                given.update(asked)
            if step.request is not None:
                given[step.request] = request
            arguments.append(given)
        return arguments

    async def response(self, arguments: list[dict[str, Any]]) -> Response:
        """Call every step; what the last one gives is the reply."""
        solved: dict[Callable[..., Any], Any] = {}
        result: Any = None
        for step, given in zip(self.steps, arguments, strict=True):
            for name, call in step.needs:
                given[name] = solved[call]
            result = solved[step.call] = await step.call(**given)
        if isinstance(result, Response):
            return result
        content = await serialize_response(response_content=result, **self.shape)
        if self.shape["dump_json"]:
            return Response(content, media_type="application/json")
        drawn: Response = self.response_class(content, background=None)  # as FastAPI says it
        if not is_body_allowed_for_status_code(drawn.status_code):
            drawn.body = b""
        return drawn


def fast_page(route: RouteContext) -> FastPage | None:
    """The page of a route; ``None`` for one that asks for more than is done here."""
    request = _REQUESTS.get(type(route.original_route))
    if request is None or route.body_field or route.status_code or route.max_body_size is not None:
        return None
    if route.stream_item_field or route.is_sse_stream or route.is_json_stream:
        return None
    try:
        steps = tuple({step.call: step for step in _steps(route.dependant, holes(route.path or ""))}.values())
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
    response_class = route.response_class.value if default else route.response_class
    assert route.endpoint is not None
    return FastPage(route.original_route, route.endpoint, request, steps, response_class, shape)


class _UnusualError(Exception):
    """A page asks for more than is done here."""


def _steps(dependant: Dependant, known: frozenset[str]) -> Iterator[_Step]:
    for needed in dependant.dependencies:
        if not needed.use_cache or needed.scope:
            raise _UnusualError
        yield from _steps(needed, known)
    call = dependant.call
    if any(getattr(dependant, name) for name in _UNUSED) or isinstance(call, SecurityBase):
        raise _UnusualError
    if call is None or not iscoroutinefunction(call) or not iscoroutinefunction(unwrap(call)):
        raise _UnusualError
    yield _Step(
        call,
        tuple(_path_param(param, known) for param in dependant.path_params),
        tuple(dependant.query_params),
        _unasked(dependant.query_params),
        tuple((needed.name, needed.call) for needed in dependant.dependencies if needed.name and needed.call),
        dependant.request_param_name,
    )


def _path_param(param: Any, known: frozenset[str]) -> tuple[str, str, Callable[..., Any]]:
    annotation = param.field_info.annotation
    if param.alias not in known or param.field_info.validation_alias not in {None, param.alias}:
        raise _UnusualError
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        raise _UnusualError
    return param.name, param.alias, param.validate


def _unasked(params: list[Any]) -> Mapping[str, Any] | None:
    """What an empty query comes to; ``None`` where that is an error, not always the same, or not safe to share."""
    if any(param.field_info.default_factory or param.field_info.validate_default for param in params):
        return None
    values, wrong = request_params_to_args(params, _NO_QUERY)
    fixed = all(value is None or isinstance(value, str | int | float | Enum | frozenset) for value in values.values())
    return values if fixed and not wrong else None
