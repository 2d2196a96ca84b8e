"""How tokens that clients bear are judged."""

import re
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from bff_core.setting_types import Duration, Secret, Strict
from bff_core.upstream_settings import UpstreamSettings

__all__ = [
    "Algorithm",
    "BearerSettings",
    "IntrospectionSettings",
    "called_at",
    "host_of",
    "is_trustworthy",
    "issuer_url",
    "origin",
    "trustworthy_url",
]

Algorithm = Literal["RS256", "ES256", "EdDSA", "Ed25519"]

_URL: Final = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+")  # RFC 3986, and no fragment
_KEY_SET: Final = 256 * 1024  # bytes: a hundred keys with their certificates


def trustworthy_url(value: str) -> str:
    """``value``, where nobody on the way can answer in its place: ``https``, or ``http`` on this machine.

    Raises ``ValueError``, which does not repeat it, because it may hold a password.
    """
    url = urlsplit(value)
    if not _URL.fullmatch(value) or url.scheme not in {"https", "http"} or not url.hostname:
        raise ValueError('is no URL; write it like "https://id.shop.example"')
    if "@" in url.netloc or url.port == 0:
        raise ValueError("holds a user, or a port that is none")
    if url.scheme == "http" and not _is_loopback(url.hostname):
        raise ValueError("is http, and anyone on the way could answer; only on loopback is that allowed")
    return value


def is_trustworthy(url: str) -> bool:
    """``trustworthy_url`` takes it."""
    try:
        return bool(trustworthy_url(url))
    except ValueError:
        return False


def origin(url: str) -> str:
    """Scheme, host and port of a URL, written in one way."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{host_of(url)}:{port}"


def host_of(url: str) -> str:
    """The host of a URL, as ``Host`` has it without a port."""
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def issuer_url(value: str) -> str:
    """``value``, where an issuer may be called so; else ``ValueError``."""
    if "?" in trustworthy_url(value):
        raise ValueError("holds a query, which no issuer has (RFC 8414, 2)")
    return value


def called_at(value: Any, info: ValidationInfo, **usual: Any) -> Any:
    """How an issuer is called, before it is validated: ``value``, with what was not set filled in; ``usual`` is what
    then holds for this kind of issuer.
    """
    if "issuer" not in info.data or not isinstance(value, dict | None):
        return value
    given = {"max_reply": _KEY_SET, **usual, **(value or {})}
    if not given.get("instances") and not given.get("discover"):
        given["instances"] = [origin(info.data["issuer"])]
    return given


class IntrospectionSettings(Strict):
    """Asking the issuer about tokens that say nothing by themselves (RFC 7662)."""

    client_id: Annotated[str, Field(min_length=1)]
    """Who we are to the issuer,"""

    client_secret: Annotated[Secret, Field(min_length=1)]
    """and what proves it: in the environment, as ``BFF_MOBILE__BEARER__INTROSPECTION__CLIENT_SECRET``."""


class BearerSettings(Strict):
    """Who may vouch for the clients of a gateway, and for what."""

    issuer: Annotated[str, AfterValidator(issuer_url)]
    """Its URL, exactly as its tokens and its metadata name it (``iss``)."""

    audience: Annotated[str, Field(min_length=1)]
    """What a token must be for (``aud``)."""

    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256", "EdDSA")
    """What tokens may be signed with; ``EdDSA`` and ``Ed25519`` are two names of one."""

    leeway: Annotated[Duration, Field(le=300)] = 30.0
    """How far the issuer's clock may be from ours."""

    types: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)] = (
        "at+jwt",
        "application/at+jwt",
        "JWT",
    )
    """What a token that says its ``typ`` must say, in upper or lower case."""

    introspection: IntrospectionSettings | None = None
    """Without it, tokens that are no JWT are refused."""

    upstream: Annotated[UpstreamSettings | None, Field(validate_default=True)] = None
    """How the issuer is called: as every upstream is, where its URL says, unless this names ``instances`` or a way to
    ``discover`` them; and a reply of it is at most 256 KiB.
    """

    @property
    def called(self) -> UpstreamSettings:
        """``upstream``, with what was not set filled in."""
        assert self.upstream is not None
        return self.upstream

    @field_validator("upstream", mode="before")
    @classmethod
    def _where_its_url_says(cls, value: Any, info: ValidationInfo) -> Any:
        return called_at(value, info)
