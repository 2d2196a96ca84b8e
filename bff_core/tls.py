"""Who upstreams must prove to be, and who we say we are: files of certificates, checked when they are read.

There is no switch to turn verification off: a connection that anyone may have answered is no connection.
"""

import re
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

__all__ = ["ServerTlsSettings", "TlsSettings", "client_context", "ordinary_context", "server_context"]

_HOST = re.compile(r"(?=.*[a-z])[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.IGNORECASE)


def _readable(value: str) -> str:
    file = Path(value)
    if not file.is_absolute():
        raise ValueError(f"{value!r} is relative, and a gateway may be started from anywhere")
    try:
        file.read_bytes()
    except OSError as error:
        raise ValueError(f"{value}: {error.strerror}") from error
    return value


def _certificates(value: str) -> str:
    try:
        _bare_context().load_verify_locations(_readable(value))
    except ssl.SSLError as error:
        raise ValueError(f"{value} holds no certificate in PEM") from error
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(f"{value!r} is no host name that a certificate could be for")
    return value


Certificates = Annotated[str, AfterValidator(_certificates)]


class TlsSettings(BaseModel):
    """How TLS is spoken with the instances of one upstream. Files are absolute paths of PEM."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ca: Certificates | None = None
    """Who may vouch for an instance: these certificates alone. Without it, whoever this machine trusts."""

    cert: Certificates | None = None
    """Our own certificate, with the chain behind it, for instances that ask who calls."""

    key: Annotated[str | None, Field(validate_default=True)] = None
    """The private key of ``cert``; without it, the file of ``cert`` holds both."""

    server_name: Annotated[str, AfterValidator(_host)] | None = None
    """The name that instances are asked for (SNI), and that their certificates must be for; else each one's host."""

    @field_validator("key")
    @classmethod
    def _fits(cls, key: str | None, info: ValidationInfo) -> str | None:
        cert = info.data.get("cert")
        if key is not None:
            _readable(key)
            if "cert" in info.data and cert is None:
                raise ValueError("there is no cert that it could be the key of")
        if cert is not None:
            _load_pair(_bare_context(), cert, key)
        return key


class ServerTlsSettings(BaseModel):
    """What a gateway shows its clients. Files are absolute paths of PEM."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cert: Certificates
    """Its certificate, with the chain behind it."""

    key: Annotated[str | None, Field(validate_default=True)] = None
    """The private key of ``cert``; without it, the file of ``cert`` holds both."""

    @field_validator("key")
    @classmethod
    def _fits(cls, key: str | None, info: ValidationInfo) -> str | None:
        if key is not None:
            _readable(key)
        if "cert" in info.data:
            _load_pair(_bare_context(), info.data["cert"], key)
        return key


def _load_pair(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    def refused() -> str:  # or OpenSSL would ask at the terminal, and the start would hang
        raise ValueError(f"{key or cert}: a key under a password cannot be used")

    try:
        context.load_cert_chain(cert, key, refused)
    except ssl.SSLError as error:
        reason = "is not that of" if error.reason == "KEY_VALUES_MISMATCH" else "holds no key in PEM for"
        raise ValueError(f"{key or cert} {reason} {cert}") from error


def _bare_context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which verifies certificate and host name


@lru_cache(maxsize=1)
def ordinary_context() -> ssl.SSLContext:
    """``client_context`` without any setting, made once, because reading all that a machine trusts takes a while."""
    return client_context(TlsSettings())


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """How we speak TLS: 1.2 or later, HTTP/1.1, certificate and host name verified."""
    context = _bare_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 9525, 6.3
    context.set_alpn_protocols(["http/1.1"])
    # an end that nobody announced may be an attacker's, and must not look like the end of a reply
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if settings.ca is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(settings.ca)
    if settings.cert is not None:
        _load_pair(context, settings.cert, settings.key)
    return context


def server_context(settings: ServerTlsSettings) -> ssl.SSLContext:
    """How a gateway speaks TLS with its clients: 1.2 or later, HTTP/1.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, settings.cert, settings.key)
    return context
