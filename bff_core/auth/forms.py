"""Small forms, read before FastAPI knows whose they are."""

from typing import Final
from urllib.parse import parse_qsl

from starlette.types import Receive

from bff_core.errors import ContentTooLarge, MalformedRequest

__all__ = ["FORM", "body_of", "field_of"]

FORM: Final = b"application/x-www-form-urlencoded"

_LONGEST: Final = 64 * 1024
_MOST_FIELDS: Final = 1000


async def body_of(receive: Receive) -> bytes:
    """The whole body of a request; ``ContentTooLarge`` where it is longer than 64 KiB."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise MalformedRequest("the client left before its form was whole")
        body += message.get("body", b"")
        if len(body) > _LONGEST:
            raise ContentTooLarge(f"a form of more than {_LONGEST} bytes")
        if not message.get("more_body"):
            return bytes(body)


def field_of(body: bytes, name: str) -> str:
    """The value of the one field of that name; empty where there is none, or more than one."""
    try:
        fields = parse_qsl(body.decode("ascii"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return ""
    found = [value for one, value in fields if one == name]
    return found[0] if len(found) == 1 else ""
