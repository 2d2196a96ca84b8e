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

from bff_core.errors import MalformedRequest, UnsupportedMediaType

__all__ = ["StrictRequest", "StrictRoute"]


class StrictRequest(Request):
    """A request whose JSON body is valid JSON, or reading it raises ``MalformedRequest``."""

    async def json(self) -> Any:
        """What the body says."""
        try:
            return from_json(await self.body(), allow_inf_nan=False)
        except ValueError as error:
            raise MalformedRequest(str(error)) from error


class StrictRoute(APIRoute):
    """A route whose JSON body is valid JSON, or the answer is 400; and says that it is JSON, or the answer is 415."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with a strict request."""
        handler = super().get_route_handler()
        reads_json = self.body_field is not None

        async def strict(request: Request) -> Response:
            request = StrictRequest(request.scope, request.receive)
            # FastAPI would validate the bytes themselves, which are even a str where one is wanted
            if reads_json and not _says_json(request) and await request.body():
                raise UnsupportedMediaType("a body that does not say that it is JSON")
            return await handler(request)

        return strict


def _says_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))
