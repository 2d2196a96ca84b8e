"""What an API's documentation says of proving who one is: how, and on which routes it is needed, as they declare it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from bff_core.auth.requires import scopes_of
from bff_core.settings import GatewaySettings

__all__ = ["schemes_of", "with_security"]

Responses = Mapping[int | str, Mapping[str, Any]]

_OPTIONAL: Final[Mapping[str, list[str]]] = {}


def schemes_of(settings: GatewaySettings) -> dict[str, dict[str, str]]:
    """``securitySchemes``, by the names under which routes name them; for ways that programs have."""
    schemes = {}
    if settings.bearer is not None:
        schemes["bearerAuth"] = {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": f"`Authorization: Bearer TOKEN`, with an access token of <{settings.bearer.issuer}> whose "
            f"audience is `{settings.bearer.audience}`.",
        }
    if settings.keys is not None:
        schemes["apiKey"] = {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "`X-API-Key: KEY`, or `Authorization: Bearer KEY`. Never in a URL.",
        }
    return schemes


def with_security(app: FastAPI, schemes: Mapping[str, Any], refused: Responses) -> Callable[[], dict[str, Any]]:
    """What makes the OpenAPI document of ``app``, so that it says how one proves who one is, and where.

    A route with ``Requires`` needs it, and may answer all of ``refused``. At any other one may, and is answered the 401
    of them where what is shown proves nothing.
    """
    make = app.openapi

    def complete() -> dict[str, Any]:
        made = make()
        made.setdefault("components", {})["securitySchemes"] = dict(schemes)
        for operation, scopes in _operations(app, made):
            may = [] if scopes is not None else [dict(_OPTIONAL)]
            operation["security"] = may + [{name: sorted(scopes or ())} for name in schemes]
            answers = {str(status): answer for status, answer in refused.items() if scopes is not None or status == 401}
            # in order, because people read it
            operation["responses"] = dict(sorted({**operation["responses"], **answers}.items()))
        return made

    return complete if schemes else make


def _operations(app: FastAPI, made: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], frozenset[str] | None]]:
    """What is documented, and which scopes it needs; ``None`` where nobody has to be known."""
    for route in iter_route_contexts(app.routes):
        documented = made["paths"].get(route.path_format or "", {})
        for method in route.methods or ():
            if method.lower() in documented:
                yield documented[method.lower()], _needed(route.dependant)


def _needed(dependant: Dependant) -> frozenset[str] | None:
    wanted = [found for found in map(scopes_of, _calls(dependant)) if found is not None]
    return frozenset().union(*wanted) if wanted else None


def _calls(dependant: Dependant) -> Iterator[Any]:
    for needed in dependant.dependencies:
        yield needed.call
        yield from _calls(needed)
