"""How large a request may be: refused where it says that it is larger, and counted as it is read."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff_core.errors import ContentTooLarge, HeadersTooLarge, TargetTooLong
from bff_core.settings import SizeLimits

__all__ = ["REFUSAL", "Sizes"]

REFUSAL: Final = "bff.refusal"
"""The extension of ASGI by which a server hands over what is wrong with a request that it did not read to its end:
``error``, a class, and ``detail``, a word for the log. No exception, because one that is raised keeps its request.
"""


class Sizes:
    """Refuses a longer target (414), more or longer headers (431), and a longer body (413)."""

    def __init__(self, app: ASGIApp, limits: SizeLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, and let the request through."""
        if scope["type"] == "http":
            if (refusal := scope.get("extensions", {}).get(REFUSAL)) is not None:
                raise refusal["error"](refusal["detail"])
            self._check(scope)
            receive = self._counted(receive)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        target = len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"])
        if target > self._limits.target:
            raise TargetTooLong(f"{target} bytes")
        headers = scope["headers"]
        size, body = 4 * len(headers), 0  # ": " and CRLF
        for name, value in headers:  # once, because every request is looked through here
            size += len(name) + len(value)
            if name == b"content-length":
                body = max(body, int(value))  # the server has seen that it is a number
        if len(headers) > self._limits.headers or size > self._limits.header_block:
            raise HeadersTooLarge(f"{len(headers)} headers of {size} bytes")
        if body > self._limits.body:
            raise ContentTooLarge(f"{body} bytes")

    def _counted(self, receive: Receive) -> Receive:
        total = 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self._limits.body:
                # FastAPI's word for it, because any other exception while a body is read is a 400 to FastAPI
                raise HTTPException(413, f"more than {self._limits.body} bytes")
            return message

        return counted
