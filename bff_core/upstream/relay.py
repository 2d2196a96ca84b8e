"""Telling an upstream who asks, in headers of a call."""

from typing import Final, Protocol

from bff_core.principal import Principal

__all__ = ["NO_RELAY", "Relay"]


class Relay(Protocol):
    """What one upstream is told of a principal."""

    def lines(self, principal: Principal) -> bytes:
        """The header lines that say it, each with CRLF at its end, good for an attempt that begins now.

        On the way of every call that tells who asks: most of the time it only looks.
        """
        ...


class _Silence:
    """Nothing is said."""

    def lines(self, principal: Principal) -> bytes:  # noqa: ARG002
        return b""


NO_RELAY: Final[Relay] = _Silence()
