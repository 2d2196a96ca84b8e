"""What an API's documentation says about its problems."""

from typing import Any, Final

from bff_core.errors import GatewayError, InvalidRequest

__all__ = ["documented"]

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


def documented(*errors: type[GatewayError]) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may fail with ``errors``, each with an example."""
    return {
        error.status: {
            "description": error.title,
            "content": {"application/problem+json": {"schema": _SCHEMA, "example": _example(error)}},
        }
        for error in errors
    }


def _example(error: type[GatewayError]) -> dict[str, Any]:
    example = {
        "type": f"/problems/{error.kind}",
        "title": error.title,
        "status": error.status,
        "instance": "5f1d7a84c2b90e36",
    }
    if issubclass(error, InvalidRequest):
        return {**example, "errors": [{"field": "query.limit", "reason": "Input should be less than or equal to 50"}]}
    return example
