"""Certificates for tests, made at run time: an authority, and what it has signed."""

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import trustme

from bff_core.settings import UpstreamSettings
from bff_core.wire.terms import Terms

__all__ = ["authority", "certificate", "expired", "files_of", "serving", "trusting"]


@cache
def authority(name: str) -> trustme.CA:
    """The authority of that name; every other one is a stranger to it."""
    return trustme.CA(organization_name=name)


@cache
def certificate(*names: str, by: str = "ours") -> trustme.LeafCert:
    """For these names, signed by that authority."""
    return authority(by).issue_cert(*names)


@cache
def expired(*names: str) -> trustme.LeafCert:
    """One that was good until yesterday."""
    return authority("ours").issue_cert(*names, not_after=datetime.now(UTC) - timedelta(days=1))


def serving(found: trustme.LeafCert | None = None, *, asks: bool = False) -> ssl.SSLContext:
    """What a server speaks; one that ``asks`` wants a certificate of our authority from whoever calls."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (found or certificate("127.0.0.1")).configure_cert(context)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        authority("ours").configure_trust(context)
    return context


def files_of(folder: Path, *names: str, by: str = "ours") -> dict[str, str]:
    """``ca``, ``cert`` and ``key`` as files in ``folder``."""
    found = certificate(*names, by=by)
    authority("ours").cert_pem.write_to_path(str(folder / "ca.pem"))
    found.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in found.cert_chain_pems))
    return {name: str(folder / f"{name}.pem") for name in ("ca", "cert", "key")}


def trusting(folder: Path, *, known_as: str | None = None, server_name: str | None = None) -> Terms:
    """The terms of an upstream that must prove itself to our authority, where we are ``known_as`` somebody."""
    tls = files_of(folder, known_as or "nobody.test")
    if known_as is None:
        del tls["cert"], tls["key"]
    if server_name is not None:
        tls["server_name"] = server_name
    return Terms.of(UpstreamSettings(instances=["https://shop.test"], tls=tls))
