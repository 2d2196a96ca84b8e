"""What can go wrong, as the RFCs name it, and to whom it is told."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from demo.identity.pages import page


class OAuthError(Exception):
    """Told to a client, as JSON (RFC 6749, section 5.2)."""

    def __init__(
        self, error: str, description: str, *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(description)
        self.error, self.description, self.status, self.headers = error, description, status, headers or {}


class Refused(Exception):
    """Told to a client by way of the browser that it has sent to us (RFC 6749, section 4.1.2.1)."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error, self.description = error, description


class Misled(Exception):
    """Told to the person in front of the browser, because nobody knows whom else it would be safe to tell."""


NO_STORE = {"cache-control": "no-store"}


def answer_errors(app: FastAPI) -> None:
    """Make these leave as they should."""

    @app.exception_handler(OAuthError)
    async def refused(_: Request, error: OAuthError) -> JSONResponse:
        content = {"error": error.error, "error_description": error.description}
        return JSONResponse(content, error.status, {**NO_STORE, **error.headers})

    @app.exception_handler(Misled)
    async def misled(_: Request, error: Misled) -> Response:
        return page("error.html", status=400, reason=str(error))
