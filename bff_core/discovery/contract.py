"""What every source promises: the instances of one service, again and again."""

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple, Protocol

from bff_core.wire import Instance

__all__ = ["Member", "Source", "SourceFailed"]


class Member(NamedTuple):
    """One instance, as its source knows it."""

    instance: Instance
    zone: str = ""
    """Where it is; empty where the source does not say."""

    weight: float = 1.0
    """How many calls it should get beside others of its upstream."""


class SourceFailed(Exception):
    """A source cannot say where the instances are. The message is for operators: what was asked, and what came."""


class Source(Protocol):
    """Where the instances of one service are."""

    @property
    def known(self) -> Sequence[Member]:
        """What is known without asking: everything, or nothing."""
        ...

    def sets(self) -> AsyncGenerator[Sequence[Member], None]:
        """Each set of instances as soon as it is known, whether it differs from the one before or not.

        It waits for news, or until it is time to ask again, for as long as it is read. It ends with ``SourceFailed``
        and by being closed, never otherwise; after a failure it is read anew from ``sets()``, after a pause. A set is
        empty only where the source is sure that there is no instance, which a source that is not well never is.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. After the last ``sets()``."""
        ...
