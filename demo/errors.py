"""What can go wrong for a client of the store, always as `{"error": ..., "detail": ...}`."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException


class StoreError(Exception):
    """A refusal with a status, a short code for programs and a detail for people."""

    def __init__(self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, headers


def unknown(what: str, name: str) -> StoreError:
    """404: there is no such thing."""
    return StoreError(404, f"unknown_{what}", f"there is no {what} {name!r}")


def bad_query(detail: str) -> StoreError:
    """422: the question makes no sense."""
    return StoreError(422, "bad_query", detail)


def answer_errors(app: FastAPI) -> None:
    """Make every error of this app leave in the one shape."""

    @app.exception_handler(StoreError)
    async def refused(_: Request, error: StoreError) -> JSONResponse:
        return _answer(error.status, error.code, error.detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        reasons = (f"{'.'.join(map(str, reason['loc']))}: {reason['msg']}" for reason in error.errors())
        return _answer(422, "bad_query", "; ".join(reasons))

    @app.exception_handler(HTTPException)
    async def not_served(_: Request, error: HTTPException) -> JSONResponse:
        code = "not_found" if error.status_code == 404 else "bad_request"
        return _answer(error.status_code, code, error.detail, error.headers)


def _answer(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": code, "detail": detail}, status, headers)
