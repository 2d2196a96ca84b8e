"""A source that says what the test says."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from bff_core.discovery import Member, SourceFailed

__all__ = ["Played"]


class Played:
    """A ``Source``. ``closed`` counts how often it was."""

    known: Sequence[Member] = ()

    def __init__(self) -> None:
        self._said: asyncio.Queue[Sequence[Member] | Exception] = asyncio.Queue()
        self.closed = 0

    def say(self, *members: Member) -> None:
        """These are the instances from now on."""
        self._said.put_nowait(members)

    def fail(self, why: str) -> None:
        self._said.put_nowait(SourceFailed(why))

    async def sets(self) -> AsyncGenerator[Sequence[Member], None]:
        while True:
            said = await self._said.get()
            if isinstance(said, Exception):
                raise said
            yield said

    async def close(self) -> None:
        self.closed += 1
