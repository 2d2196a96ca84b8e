"""What tokens may be signed with, each algorithm under its one name."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from bff_core.auth.jwt import TokenRefused

__all__ = ["ED25519", "Algorithms", "one_name"]

ED25519: Final = "Ed25519"
"""The one name under which both of its names go on (RFC 9864)."""

_ED25519_TOO: Final = "EdDSA"


def one_name(algorithm: str) -> str:
    """The name under which it goes on."""
    return ED25519 if algorithm == _ED25519_TOO else algorithm


class Algorithms:
    """Those that the settings list, and no others (RFC 8725, 3.1)."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {one_name(name) for name in names}

    def of(self, header: Mapping[str, Any]) -> str:
        """What a token is signed with. Raises ``TokenRefused`` where that is not among them."""
        name = header.get("alg")
        if not isinstance(name, str) or (found := one_name(name)) not in self._names:
            raise TokenRefused("alg is not among those of the settings")
        if "crit" in header:  # RFC 7515, 4.1.11: we know no extension, so each is unknown
            raise TokenRefused("crit asks for what is not known here")
        return found
