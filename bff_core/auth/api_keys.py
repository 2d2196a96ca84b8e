"""Not built yet."""

from bff_core.auth.contract import Presented
from bff_core.errors import IdentityUnavailable
from bff_core.key_settings import KeySettings
from bff_core.principal import Principal

__all__ = ["ApiKeys"]


class ApiKeys:
    """A ``Proof``."""

    def __init__(self, gateway: str, settings: KeySettings) -> None:
        self.challenge = f'Bearer realm="{gateway}"'

    def known(self, presented: Presented) -> Principal | None:
        """See ``Proof``."""
        return None

    async def principal(self, presented: Presented) -> Principal | None:
        """See ``Proof``."""
        raise IdentityUnavailable("not built yet")

    async def start(self) -> None:
        """See ``Proof``."""

    async def close(self) -> None:
        """See ``Proof``."""
