"""What every reply tells a browser not to do."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["SecurityHeaders"]

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_CONTENT_SECURITY_POLICY = b"content-security-policy"
# an API's reply is data: nothing in it is ever loaded, run or framed
_DATA_ONLY = (_CONTENT_SECURITY_POLICY, b"default-src 'none'; frame-ancestors 'none'")


class SecurityHeaders:
    """Adds them, and a policy that allows nothing where the page has not set one of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through and complete the reply's head."""

        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *_ALWAYS]
                if _CONTENT_SECURITY_POLICY not in dict(headers):
                    headers.append(_DATA_ONLY)
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, completed)
