"""How upstreams are told who asks."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from bff_core.setting_types import Duration, Strict

__all__ = ["RelaySettings"]


class RelaySettings(Strict):
    """A token of the gateway's own, for one upstream and a short time; services verify it by the keys at ``/jwks``
    of the operators' listener.
    """

    issuer: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]
    """Who says so (``iss``): what services know this gateway by."""

    keys: SecretStr | Path | None = None
    """What it signs with: PEM of private keys on P-256, in the environment or in a file. All of them are published, and
    the first is signed with. Without them, one is made at the start: for one process alone.
    """

    lifetime: Annotated[Duration, Field(ge=10, le=300)] = 60.0
    """How long one is good."""
