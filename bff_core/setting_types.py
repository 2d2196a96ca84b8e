"""What single settings look like: durations, addresses to listen at, hosts, instances of an upstream."""

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

__all__ = ["Address", "Duration", "Host", "Listen", "Place", "Secret", "Share", "Strict", "Weight"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_NAME = re.compile(r"(?=.*[a-z_-])[a-z0-9_.-]+", re.IGNORECASE)  # what is digits and dots alone is an address
_FILE = "file:"
_LONGEST_SOCKET = 107  # bytes: what sun_path of Linux holds


class Strict(BaseModel):
    """A table of settings. A key that nothing reads is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError('give a duration with its unit, like "250ms" or "2s"')  # noqa: TRY004  pydantic reads ValueError
    match = _DURATION.fullmatch(value.strip())
    if not match:
        raise ValueError(f'{value!r} is no duration; write it like "250ms", "2s" or "1m"')
    return float(match[1]) * _UNITS[match[2]]


Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]
"""Seconds as ``float`` inside, ``"250ms"`` in settings."""


Weight = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
"""How many calls an instance gets beside others."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""A part of a whole: 0 to 1."""


def _from_file(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith(_FILE):
        return value
    path = Path(value.removeprefix(_FILE))
    if not path.is_absolute():
        raise ValueError("is a relative path, and a gateway may be started from anywhere")
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is no text") from None


Secret = Annotated[SecretStr, BeforeValidator(_from_file)]
"""Something that is shown nowhere: in the environment, or ``file:/run/secrets/pepper``, the whole path of a file that
holds it and perhaps a line break.
"""


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not _is_host(host) or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f'{value!r} is no address; write it like "127.0.0.1:8000"')
    return value


Address = Annotated[str, AfterValidator(_address)]


def _listen(value: str) -> str:
    if not value.startswith("unix:"):
        return _address(value)
    if not value.startswith("unix:/"):
        raise ValueError(f'{value!r} is no place to listen; write it like "unix:/run/web.sock"')
    return value


Listen = Annotated[str, AfterValidator(_listen)]
"""``host:port``, or ``unix:`` and the whole path of a socket."""


def _is_host(value: str) -> bool:
    if _NAME.fullmatch(value):
        return True
    bracketed = value[:1] == "[" and value[-1:] == "]"
    try:
        return (ip_address(value[1:-1] if bracketed else value).version == 6) == bracketed
    except ValueError:
        return False


def _host(value: str) -> str:
    if not _is_host(value):
        raise ValueError(f'{value!r} is no host; write it without scheme and port, like "shop.example" or "[::1]"')
    return value


Host = Annotated[str, AfterValidator(_host)]
"""A name or an address, as it is written in ``Host``, without a port."""


def _instance(value: str) -> str:
    if value.startswith("unix:"):
        return _socket(value)
    url = urlsplit(value)
    host = url.hostname or ""
    if url.scheme not in {"http", "https"} or not _is_host(f"[{host}]" if ":" in host else host) or url.port == 0:
        raise ValueError(f'{value!r} is no instance; write it like "http://127.0.0.1:7001"')
    if url.path not in {"", "/"} or url.query or url.fragment or "@" in url.netloc:
        raise ValueError(f"{value!r} holds more than scheme, host and port")
    return value


def _socket(value: str) -> str:
    path = value.removeprefix("unix:")
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError(f'{value!r} is no instance; write the whole path, like "unix:/run/catalog.sock"')
    if "\0" in path or len(os.fsencode(path)) > _LONGEST_SOCKET:
        raise ValueError(f"{value!r} is no path of a socket: at most {_LONGEST_SOCKET} bytes, none of them NUL")
    return value


class Place(Strict):
    """One instance as it is written in settings: its URL, or a table with that and what is known of it."""

    url: Annotated[str, AfterValidator(_instance)]
    """``http://`` or ``https://`` with host and port, or ``unix:/run/catalog.sock``."""

    zone: str = ""
    weight: Weight = 1.0

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    def __str__(self) -> str:
        return self.url
