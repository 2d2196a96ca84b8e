"""Asking a gateway that runs, at its listener for operators."""

import asyncio
import os
from typing import Final, Self

from pydantic import ValidationError
from pydantic_core import from_json

from bff_core.cli.facts import GatewayFacts
from bff_core.errors import UpstreamError
from bff_core.settings import GatewaySettings
from bff_core.wire import Instance, Request
from bff_core.wire.http1 import Http1Wire

__all__ = ["NoAnswer", "Operators"]

_WITHIN: Final = 5.0  # seconds; a gateway of several processes asks each of them first
_MOST: Final = 64 * 1024 * 1024  # bytes


class NoAnswer(Exception):
    """There is no gateway where its settings say, or something else."""


class Operators:
    """The operators' listener of the gateway with these settings. To be entered, on a loop that runs."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._name, self._admin = settings.name, settings.admin
        self._instance = _instance(settings)
        self._wire = Http1Wire()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._wire.close()

    async def document(self) -> bytes:
        """Its ``/healthz``, which is JSON. Raises ``NoAnswer`` with one line."""
        until = asyncio.get_running_loop().time() + _WITHIN
        try:
            reply = await self._wire.send(self._instance, Request("GET", "/healthz"), until=until, max_body=_MOST)
        except UpstreamError as error:
            raise NoAnswer(f"{self._name} does not answer at {self._admin}: {_reason(error)}") from error
        if reply.status != 200:
            raise self._something_else(f"status {reply.status}")
        try:
            from_json(reply.body)
        except ValueError as error:
            raise self._something_else(f"no JSON: {error}") from error
        return reply.body

    async def facts(self) -> GatewayFacts:
        """What the document says. Raises ``NoAnswer`` too where it is another gateway's, or of another shape."""
        document = await self.document()
        try:
            facts = GatewayFacts.model_validate_json(document)
        except ValidationError as error:
            wrong = error.errors()[0]
            raise self._something_else(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from error
        if facts.gateway != self._name:
            raise self._something_else(f"{facts.gateway!r} answers")
        return facts

    def _something_else(self, why: str) -> NoAnswer:
        return NoAnswer(f"what answers at {self._admin} is not {self._name}, or of another version: {why}")


def _instance(settings: GatewaySettings) -> Instance:
    if settings.admin.startswith("unix:"):
        return Instance.parse(settings.name, settings.admin)
    host, _, port = settings.admin.rpartition(":")
    return Instance(settings.name, "http", host.strip("[]"), int(port))


def _reason(error: UpstreamError) -> str:
    """In the words of the system where it has any: those of asyncio name numbers and addresses."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno)
    return error.detail
