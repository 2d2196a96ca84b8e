"""The fault switch: a service that is slow, wrong, broken or gone because someone asked for it."""

import asyncio
import json
from itertools import cycle
from random import Random

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ABORT = "demo.abort"  # the ASGI extension under which a server offers to drop the connection

NONSENSE = (
    ("application/json", b'{"id": "pojos-in-action", "title": "POJOs in Ac'),
    ("application/json", json.dumps({"id": [1, 2], "items": "none", "price": {"amount": "a lot"}}).encode()),
    ("text/html", b"<!doctype html><title>It works!</title><h1>It works!</h1>"),
    ("application/json", b""),
)


class Fault(BaseModel):
    """What is wrong with one instance of a service; by default nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latency: float = Field(default=0.0, ge=0, le=60, allow_inf_nan=False)
    """Seconds to wait before anything else."""
    error_rate: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    """The share of requests that are answered 500."""
    down: bool = False
    """Close the connection instead of answering."""
    malformed: bool = False
    """Answer 200 with nonsense: truncated JSON, the wrong shape, HTML, nothing, and again."""


class FaultSwitch:
    """An instance of a service between its client and its fault; `/_fault` itself always answers.

    Chance is seeded by the instance's name and starts again with every PUT, so that runs repeat, and so that two
    instances of a service fail at different requests.
    """

    def __init__(self, name: str, service: ASGIApp) -> None:
        self._name, self._service = name, service
        self._set(Fault())

    def _set(self, fault: Fault) -> None:
        self._fault = fault
        self._chance = Random(f"{self._name}:fault")
        self._nonsense = cycle(NONSENSE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._service(scope, receive, send)
        elif scope["path"] == "/_fault":
            response = await self._switched(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._suffer(scope, receive, send)

    async def _switched(self, request: Request) -> Response:
        """GET shows the fault, PUT replaces all of it, DELETE clears it; each answers with what holds now."""
        match request.method:
            case "GET":
                pass
            case "PUT":
                try:
                    self._set(Fault.model_validate_json(await request.body()))
                except ValidationError as error:
                    return _error(422, "bad_fault", str(error))
            case "DELETE":
                self._set(Fault())
            case _:
                return _error(405, "bad_request", "GET, PUT or DELETE")
        return JSONResponse(self._fault.model_dump())

    async def _suffer(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._fault  # as it was when the request came
        if fault.latency:
            await asyncio.sleep(fault.latency)
        if fault.down:
            await hang_up(scope, receive)
        elif self._chance.random() < fault.error_rate:
            await _error(500, "fault", f"{self._name} was told to fail")(scope, receive, send)
        elif fault.malformed:
            media_type, body = next(self._nonsense)
            await Response(body, media_type=media_type)(scope, receive, send)
        else:
            await self._service(scope, receive, send)


async def hang_up(scope: Scope, receive: Receive) -> None:
    """Drop the connection where the server can, and raise ConnectionResetError in a test without one."""
    abort = scope.get("extensions", {}).get(ABORT)
    if abort is None:
        raise ConnectionResetError("the service is down")
    abort()
    message: Message = {"type": ""}
    while message["type"] != "http.disconnect":  # because a server answers 500 for an app that returns too early
        message = await receive()


def _error(status: int, code: str, detail: str) -> JSONResponse:
    return JSONResponse({"error": code, "detail": detail}, status)
