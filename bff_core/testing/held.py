"""An upstream that answers when the test says so."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["HeldRequest", "HeldUpstream"]


class HeldUpstream:
    """An ASGI app that holds every request until the test answers it, oldest first."""

    def __init__(self) -> None:
        self._held: asyncio.Queue[tuple[str, asyncio.Future[tuple[int, bytes]]]] = asyncio.Queue()
        self.abandoned = 0
        """Requests whose caller stopped waiting before the test answered."""

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],  # noqa: ARG002  ASGI's signature
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Hold the request."""
        answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._held.put_nowait((scope["path"], answer))
        try:
            status, body = await answer
        except asyncio.CancelledError:
            self.abandoned += 1
            raise
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def asked(self) -> "HeldRequest":
        """The oldest request that has not been handed out, as soon as there is one."""
        return HeldRequest(*await self._held.get())


class HeldRequest:
    """One request being held. ``path`` is decoded."""

    def __init__(self, path: str, answer: asyncio.Future[tuple[int, bytes]]) -> None:
        self.path = path
        self._answer = answer

    def answer(self, content: Any, *, status: int = 200) -> None:
        """Let it go, with ``content`` as JSON."""
        self._answer.set_result((status, json.dumps(content).encode()))
