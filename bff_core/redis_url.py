"""Where Redis is, written as one word that may hold a password."""

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import ValidationError

from bff_core.tls import TlsSettings

__all__ = ["RedisUrl"]

_PORT: Final = 6379
_TLS: Final = {"ca", "cert", "key"}
_EXAMPLE: Final = 'write it like "redis://127.0.0.1:6379/0", "rediss://..." or "unix:///run/redis.sock?db=0"'


@dataclass(frozen=True)
class RedisUrl:
    """``redis://user:password@host:6379/0``, ``rediss://`` for TLS, ``unix:///run/redis.sock?db=0`` for a socket.

    TLS verifies certificate and name, and nothing turns that off; ``?ca=/etc/redis/ca.pem`` says who may vouch (and
    ``cert`` and ``key`` who we are). Escape what is special in a user or a password. ``str`` shows no secret.
    """

    place: str
    """``host:port``, or the path of a socket."""

    host: str | None
    """``None`` where it is a socket."""

    port: int
    database: int
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    tls: TlsSettings | None
    """``None`` where none is spoken."""

    @classmethod
    def parse(cls, text: str) -> "RedisUrl":
        """From how it is written; ``ValueError`` where that is wrong, which never quotes it."""
        url = _split(text)
        options = dict(parse_qsl(url.query, keep_blank_values=True))
        path = unquote(url.path)
        is_socket = url.scheme == "unix"
        database = options.pop("db", "") if is_socket else path.removeprefix("/")
        if is_socket is bool(url.hostname) or (is_socket and not path.startswith("/")):
            raise ValueError(f"says no place; {_EXAMPLE}")
        if database and not (database.isascii() and database.isdigit()):
            raise ValueError("names a database that is no number")
        if unknown := set(options) - (_TLS if url.scheme == "rediss" else set()):
            raise ValueError(f"holds an option that there is not: {', '.join(sorted(unknown))}")
        port = url.port or _PORT
        return cls(
            place=path if is_socket else f"{url.hostname}:{port}",
            host=url.hostname,
            port=port,
            database=int(database or 0),
            user=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
            tls=_tls(options) if url.scheme == "rediss" else None,
        )

    def __str__(self) -> str:
        return self.place


def _split(text: str) -> SplitResult:
    try:
        if not text.isprintable() or " " in text:  # or a part of it would be passed over
            raise ValueError
        url = urlsplit(text)
        if url.scheme not in {"redis", "rediss", "unix"} or url.fragment or url.port == 0:
            raise ValueError
    except ValueError:  # whose own words may quote what is a password with a slash in it
        raise ValueError(f"is no URL of Redis; {_EXAMPLE}, and escape what is special in a password") from None
    return url


def _tls(options: dict[str, Any]) -> TlsSettings:
    try:
        return TlsSettings(**options)
    except ValidationError as wrong:
        said = wrong.errors(include_input=False)[0]
        raise ValueError(f"{said['loc'][0]}: {said['msg'].removeprefix('Value error, ')}") from None
