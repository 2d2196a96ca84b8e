"""Cookies as this gateway sets and reads them (RFC 6265bis)."""

from typing import Final

from starlette.types import Scope

__all__ = ["CookieNames", "cookies_of", "removed", "set_cookie", "shown"]

_LONGEST: Final = 16 * 1024  # characters


class CookieNames:
    """What they are called. With TLS, ``__Host-Http-`` keeps every other host and every script from setting them;
    plain names are for a machine of developers, where browsers take no such cookie.
    """

    def __init__(self, *, secure: bool) -> None:
        prefix = "__Host-Http-" if secure else ""
        self.session = f"{prefix}session"
        self.login = f"{prefix}login"
        self.secure = secure


def cookies_of(scope: Scope) -> str | None:
    """All that a request shows; what came in several lines is one (RFC 9113, 8.2.3)."""
    found = [value for name, value in scope["headers"] if name == b"cookie"]
    return b"; ".join(found).decode("latin-1") if found else None


def shown(header: str | None, name: str) -> str | None:
    """The value of the cookie of that name; ``None`` where there is none, or more than one: then somebody else has set
    one of them, and nobody can tell which.
    """
    if header is None or len(header) > _LONGEST:
        return None
    found = [value for one, _, value in (pair.partition("=") for pair in header.split(";")) if one.strip(" \t") == name]
    return found[0].strip(" \t") if len(found) == 1 else None


def set_cookie(name: str, value: str, *, secure: bool, same_site: str, seconds: int | None = None) -> str:
    """A value for ``Set-Cookie``: for this host alone, and no script reads it. Without ``seconds``, browsers forget it
    when they are closed.
    """
    age = "" if seconds is None else f"; Max-Age={seconds}"
    return f"{name}={value}; Path=/{age}{'; Secure' if secure else ''}; HttpOnly; SameSite={same_site}"


def removed(name: str, *, secure: bool, same_site: str) -> str:
    """A value for ``Set-Cookie`` after which there is none of that name."""
    return set_cookie(name, "", secure=secure, same_site=same_site, seconds=0)
