"""What a gateway says for itself in TLS."""

import ssl

from bff_core.settings import SettingsError, TlsSettings

__all__ = ["context"]


def context(settings: TlsSettings) -> ssl.SSLContext:
    """TLS 1.2 and later, and HTTP/1.1 over it. Raises ``SettingsError`` for files that are none, or do not fit."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.minimum_version = ssl.TLSVersion.TLSv1_2
    found.set_alpn_protocols(["http/1.1"])
    try:
        found.load_cert_chain(settings.cert, settings.key, password=_nobody_to_ask)
    except (OSError, ValueError) as error:  # ValueError: of a password that is wanted
        raise SettingsError(f"tls: cannot use {settings.cert} with {settings.key}: {error}") from error
    return found


def _nobody_to_ask() -> str:
    """OpenSSL would ask on the terminal, and the start would wait for an answer."""
    raise ValueError("the key wants a password")
