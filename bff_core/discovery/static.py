"""``instances = [...]`` in the settings: a list that never changes."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from bff_core.discovery.contract import Member

__all__ = ["Static"]


class Static:
    """A ``Source`` that knows all there is to know."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.known = tuple(members)

    async def sets(self) -> AsyncGenerator[Sequence[Member], None]:
        """See ``Source``."""
        yield self.known
        await asyncio.Event().wait()  # there will be no news

    async def close(self) -> None:
        """See ``Source``."""
