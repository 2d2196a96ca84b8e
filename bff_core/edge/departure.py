"""When the client goes away, the work done for it ends.

FastAPI does not cancel a handler whose client is gone (fastapi/fastapi#3766). Our own server does; any other says so
through ``receive``, once, and the app may want to read from there too; so one task reads, and hands on.
"""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ENDS_WORK", "Departure"]

ENDS_WORK: Final = "bff.ends_work"
"""The extension of ASGI by which a server says that it cancels the work for a client that has left."""


class Departure:
    """Cancels what is under way for a client that has left, and answers nothing to nobody."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through and watch the client."""
        if scope["type"] != "http" or ENDS_WORK in scope.get("extensions", ()):
            await self._app(scope, receive, send)
            return
        work = asyncio.current_task()
        assert work is not None
        inbox = _Inbox(receive, work)
        watch = asyncio.get_running_loop().create_task(inbox.watch())

        async def send_until_whole(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                watch.cancel()  # because servers say "disconnect" of a reply that is whole, too
            await send(message)

        try:
            await self._app(scope, inbox.receive, send_until_whole)
        except asyncio.CancelledError:
            if not inbox.departed or work.uncancel():
                raise
        finally:
            watch.cancel()


class _Inbox:
    """What the server says, read ahead so that a departure is noticed at once.

    However long the body: how much of it may wait here is what ``Sizes``, outside, lets through.
    """

    def __init__(self, receive: Receive, work: asyncio.Task[object]) -> None:
        self._receive = receive
        self._work = work
        self._messages: asyncio.Queue[Message | Exception] = asyncio.Queue()
        self._open = True
        self.departed = False

    async def watch(self) -> None:
        """Read until the client has left, or what it sends is refused."""
        try:
            while self._open:
                self._messages.put_nowait(await self._next())
        finally:
            self._open = False

    async def _next(self) -> Message | Exception:
        try:
            message = await self._receive()
        except Exception as refusal:  # noqa: BLE001  a body over its limit; raised again where it is read
            self._open = False
            return refusal
        if message["type"] == "http.disconnect":
            self._open, self.departed = False, True
            self._work.cancel("the client has left")
        return message

    async def receive(self) -> Message:
        """The next message, as the server would have said it."""
        if not self._open and self._messages.empty():
            return await self._receive()  # servers say "disconnect" as often as they are asked
        message = await self._messages.get()
        if isinstance(message, Exception):
            raise message
        return message
