"""What an API's documentation says about its problems."""

from collections.abc import Callable
from typing import Any, Final

from bff_core.errors import (
    Busy,
    GatewayError,
    HeadersTooLarge,
    InvalidRequest,
    MalformedRequest,
    MisdirectedRequest,
    TargetTooLong,
    TimedOut,
    UpstreamError,
)

__all__ = ["EVERYWHERE", "documented", "with_problems"]

_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Which kind of problem; stable."},
        "title": {"type": "string", "description": "The same for people."},
        "status": {"type": "integer"},
        "instance": {"type": "string", "description": "The id of the request; name it when you ask us."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}


EVERYWHERE: Final = (
    MalformedRequest,
    TargetTooLong,
    MisdirectedRequest,
    InvalidRequest,
    HeadersTooLarge,
    GatewayError,
    UpstreamError,
    Busy,
    TimedOut,
)
"""What any route may answer."""

_HEADERS: Final[dict[str, Any]] = {
    "X-Request-Id": {"description": "The same as `instance`.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds, where waiting helps.", "schema": {"type": "integer"}},
}

_CHALLENGE: Final[dict[str, Any]] = {
    "WWW-Authenticate": {"description": "How to prove who you are (RFC 6750).", "schema": {"type": "string"}},
}


def documented(*errors: type[GatewayError]) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may fail with ``errors``, each with an example."""
    return {
        error.status: {
            "description": error.title,
            "headers": {**_HEADERS, **(_CHALLENGE if error.status in {401, 403} else {})},
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": _example(error),
                }
            },
        }
        for error in errors
    }


def with_problems(openapi: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """What makes an app's OpenAPI document, so that the document knows what a problem is."""

    def complete() -> dict[str, Any]:
        made = openapi()
        made.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _SCHEMA
        return made

    return complete


def _example(error: type[GatewayError]) -> dict[str, Any]:
    example = {
        "type": f"/problems/{error.kind}",
        "title": error.title,
        "status": error.status,
        "instance": "5f1d7a84c2b90e36",
    }
    if issubclass(error, InvalidRequest):
        return {**example, "errors": [{"field": "query.region", "reason": "we deliver to: US, GB, DE"}]}
    return example
