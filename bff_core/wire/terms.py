"""On what terms the instances of one upstream are talked to: what they are offered, and what they must prove."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from bff_core.settings import UpstreamSettings
from bff_core.tls import client_context, ordinary_context

__all__ = ["ORDINARY", "Terms", "TermsByUpstream"]


_IDENTITY: Final = b"identity"  # what is compressed between two machines of one network costs both
_COMPRESSED: Final = b"gzip, br, zstd"


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every connection to one upstream."""

    accept_encoding: bytes = _IDENTITY
    tls: ssl.SSLContext = field(default_factory=ordinary_context)
    server_name: str | None = None
    """Whom a certificate must be for; ``None`` is what the instance is called."""

    @classmethod
    def of(cls, settings: UpstreamSettings) -> "Terms":
        """As the settings have it."""
        accepted = _COMPRESSED if settings.compressed else _IDENTITY
        if settings.tls is None:
            return cls(accepted)
        return cls(accepted, client_context(settings.tls), settings.tls.server_name)


TermsByUpstream = Mapping[str, Terms]
"""Terms by the name of the upstream; who is not named is talked to on ordinary terms."""

ORDINARY: Final[TermsByUpstream] = MappingProxyType({})
