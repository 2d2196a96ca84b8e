"""Parameters of requests, as OAuth reads them (RFC 6749, section 3.1)."""

from collections import Counter
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fastapi import Request

from demo.identity.errors import Misled, OAuthError

LARGEST = 16 * 1024  # bytes
MOST = 50


@dataclass(frozen=True)
class Parameters:
    """One without a value is none. Those sent twice have the value that came last, and are `repeated`."""

    values: dict[str, str]
    repeated: frozenset[str] = frozenset()

    def get(self, name: str) -> str | None:
        """Its value."""
        return self.values.get(name)

    def once(self) -> "Parameters":
        """These, where none is repeated; OAuthError otherwise."""
        if self.repeated:
            raise OAuthError("invalid_request", "a parameter is sent more than once")
        return self


def parsed(text: str) -> Parameters:
    """What a query or a form says. OAuthError when it is none, or too large."""
    if len(text) > LARGEST:
        raise OAuthError("invalid_request", "too large", status=413)
    try:
        pairs = parse_qsl(text, errors="strict", max_num_fields=MOST)
    except ValueError as error:
        raise OAuthError("invalid_request", "not in the encoding of forms") from error
    counted = Counter(name for name, _ in pairs)
    return Parameters(dict(pairs), frozenset(name for name, times in counted.items() if times > 1))


def query(request: Request) -> Parameters:
    """Those in the URL."""
    return parsed(request.url.query)


async def form(request: Request) -> Parameters:
    """Those in the body."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "send a form: application/x-www-form-urlencoded")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise OAuthError("invalid_request", "too large", status=413)
    return parsed(body.decode("latin-1"))


async def of_browser(request: Request) -> Parameters:
    """Those of a request that a client sent by way of a browser, in the URL or in the body. Misled otherwise."""
    try:
        return await form(request) if request.method == "POST" else query(request)
    except OAuthError as error:
        raise Misled(f"The request is malformed: {error}.") from error
