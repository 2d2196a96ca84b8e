"""Good answers: JSON with a caching rule, and conditional ones that cost nothing the second time."""

import json
from hashlib import blake2b

from fastapi import Request, Response


def encode(content: object) -> str:
    """Compact JSON, readable in any language."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def answer(content: object, *, cache: str) -> Response:
    """200 with this content, to be cached as `cache` says."""
    return Response(encode(content), media_type="application/json", headers={"cache-control": cache})


def conditional(request: Request, body: str, *, media_type: str = "application/json", cache: str) -> Response:
    """200 with a strong ETag, or 304 when the client has this body already (RFC 9110, section 13.1.2)."""
    content = body.encode()
    tag = f'"{blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": cache}
    if _matches(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def _matches(wanted: str, tag: str) -> bool:
    """Weak comparison, as If-None-Match asks for: `W/` makes no difference."""
    return wanted.strip() == "*" or tag in {entry.strip().removeprefix("W/") for entry in wanted.split(",")}
