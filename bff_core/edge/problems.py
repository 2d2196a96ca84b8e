"""Every error becomes a problem document (RFC 9457), here and nowhere else."""

import json
import logging
from collections.abc import Callable, Coroutine, Sequence
from math import ceil
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff_core.context import current
from bff_core.errors import (
    ContentTooLarge,
    GatewayError,
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    MissingScope,
    NotFound,
    Unauthenticated,
    UnsupportedMediaType,
)

__all__ = ["HANDLERS", "Draw", "Problems", "document", "headers", "problem"]

_log = logging.getLogger("bff.problems")

Draw = Callable[[GatewayError, Scope], Response]


def document(error: GatewayError) -> dict[str, Any]:
    """The members of the problem: never a stack, an upstream's name or an upstream's words."""
    members: dict[str, Any] = {
        "type": f"/problems/{error.kind}",
        "title": error.title,
        "status": error.status,
        "instance": current().request_id,
    }
    if isinstance(error, InvalidRequest):
        members["errors"] = [{"field": place, "reason": wrong} for place, wrong in error.fields]
    return members


def headers(error: GatewayError) -> dict[str, str]:
    """What a reply to ``error`` says beside its body."""
    found = {"cache-control": "no-store"}
    if error.retry_after is not None:
        found["retry-after"] = str(ceil(error.retry_after))
    if isinstance(error, MethodNotAllowed):
        found["allow"] = error.allow
    if isinstance(error, Unauthenticated | MissingScope) and error.challenges:
        found["www-authenticate"] = ", ".join(error.challenges)
    return found


def problem(error: GatewayError, _: Scope) -> Response:
    """The document itself, as clients of an API get it."""
    body = json.dumps(document(error), separators=(",", ":"))
    return Response(body, error.status, headers(error), media_type="application/problem+json")


class Problems:
    """Answers with a problem where the app raises; an unexpected exception is logged whole and answers 500."""

    def __init__(self, app: ASGIApp, draw: Draw = problem) -> None:
        self._app = app
        self._draw = draw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through and catch what falls out."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            expected = _expected(error)
            if begun or scope["type"] != "http":
                del expected
                raise  # too late for another answer: the server closes the connection
            drawn = self._draw(expected, scope)
            del expected  # or the error keeps this frame and the frame the error, until the collector comes
            await drawn(scope, receive, send)


def _expected(error: Exception) -> GatewayError:
    if not isinstance(error, GatewayError):
        _log.error("unexpected %s", type(error).__name__, exc_info=error, extra={"request_id": current().request_id})
        return GatewayError()
    if error.status >= 500:
        _log.warning("%s", error, extra={"request_id": current().request_id})
    return error


async def _not_valid(_: Request, error: RequestValidationError) -> Response:
    wrongs = error.errors()
    if any(wrong["type"] == "json_invalid" for wrong in wrongs):
        raise MalformedRequest("the body is no JSON")
    raise InvalidRequest(*((_field(wrong["loc"]), wrong["msg"]) for wrong in wrongs))


def _field(place: Sequence[str | int]) -> str:
    # a query parameter given several times is one field to whoever reads this
    return ".".join(str(step) for step in (place[:2] if place[0] == "query" else place))


async def _raised_by_framework(_: Request, error: HTTPException) -> Response:
    match error.status_code:
        case 400:
            raise MalformedRequest(error.detail)
        case 404:
            raise NotFound("no such route")
        case 405:
            raise MethodNotAllowed((error.headers or {}).get("Allow", "").replace("GET", "GET, HEAD"))
        case 413:
            raise ContentTooLarge(error.detail)
        case 415:
            raise UnsupportedMediaType(error.detail)
        case _:
            raise error


HANDLERS: Final[dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]] = {
    RequestValidationError: _not_valid,
    HTTPException: _raised_by_framework,
}
"""What FastAPI and Starlette raise themselves, in our words: raised again, for ``Problems`` to draw."""
