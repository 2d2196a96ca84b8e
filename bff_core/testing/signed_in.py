"""Somebody whom a gateway knows, without an issuer, a database or a login."""

from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Any, Final

from fastapi import FastAPI

from bff_core.auth.contract import Presented, Proof
from bff_core.principal import Principal

__all__ = ["signed_in_as"]

_SCHEME: Final = "Bearer "


def signed_in_as(app: FastAPI, principal: Principal) -> dict[str, str]:
    """The headers with which a request to ``app`` comes from ``principal``; any other request is as before.

    Everything is as in earnest but for who vouches: the front door looks at them, a page finds the principal, and who
    lacks a scope is refused. Raises ``ValueError`` for a gateway at which nobody can prove who they are.
    """
    proofs: list[Proof] = app.state.proofs
    if not proofs:
        raise ValueError(f"{app.state.settings.name} has nothing in its settings by which somebody can be known")
    shown = _SCHEME + token_urlsafe(32)
    proofs.insert(0, _Vouching(Presented(shown), principal))
    return {"authorization": shown}


class _Vouching:
    """A ``Proof`` that knows one."""

    name, challenge, varies = "testing", "", ()

    def __init__(self, shown: Presented, principal: Principal) -> None:
        self._shown, self._principal = shown.fingerprint, principal

    def known(self, shown: bytes) -> Principal | None:
        return self._principal if shown == self._shown else None

    async def principal(self, presented: Presented) -> Principal | None:
        return self.known(presented.fingerprint)

    def facts(self) -> Mapping[str, Any]:
        return {}

    async def start(self) -> None:
        """It needs nothing."""

    async def close(self) -> None:
        """It has nothing."""
