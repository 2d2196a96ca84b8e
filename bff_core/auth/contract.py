"""What every way to prove who one is promises."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from bff_core.auth.fingerprint import fingerprint
from bff_core.principal import Principal

__all__ = ["API_KEY", "AUTHORIZATION", "Presented", "Proof"]

AUTHORIZATION: Final = b"authorization"
API_KEY: Final = b"x-api-key"


class Presented(NamedTuple):
    """What a request shows of who sends it; ``None`` where it shows nothing of that kind."""

    authorization: str | None = None
    """The value of ``Authorization``."""

    api_key: str | None = None
    """The value of ``X-API-Key``."""

    cookie: str | None = None
    """The value of ``Cookie``; several of them are joined by ``; `` (RFC 9113, 8.2.3)."""

    @property
    def fingerprint(self) -> bytes:
        """By which a token or a key is known again, as it is written; empty where there is none."""
        if self.authorization is not None:
            return fingerprint(AUTHORIZATION, _raw(self.authorization))
        return b"" if self.api_key is None else fingerprint(API_KEY, _raw(self.api_key))


class Proof(Protocol):
    """One way to prove who one is."""

    @property
    def name(self) -> str:
        """What operators know it by: the table of the settings that it is set in."""
        ...

    @property
    def varies(self) -> Sequence[str]:
        """The headers of a request that it looks at, as ``Vary`` names them (RFC 9110, 12.5.5)."""
        ...

    @property
    def challenge(self) -> str:
        """What ``WWW-Authenticate`` says to who shows nothing (RFC 9110, 11.6.1), such as ``Bearer realm="mobile"``."""
        ...

    def known(self, shown: bytes) -> Principal | None:
        """Who has shown what has this fingerprint, where that was found out before and still holds. On the way of every
        request: it never waits.
        """
        ...

    async def principal(self, presented: Presented) -> Principal | None:
        """Who it is; ``None`` where nothing of this kind is shown.

        Raises ``Unauthenticated`` where something is, and proves nothing; ``IdentityUnavailable`` where nobody can say
        just now. It may wait, at most until the deadline of the current request.
        """
        ...

    def facts(self) -> Mapping[str, Any]:
        """How it is, for operators; nothing secret, and nothing that somebody has shown. Moments in ISO 8601."""
        ...

    async def start(self) -> None:
        """Begin what goes on beside requests; before the first one."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


def _raw(value: str) -> bytes:
    """As it came; the front door reads it as Latin-1."""
    return value.encode("latin-1", "backslashreplace")
