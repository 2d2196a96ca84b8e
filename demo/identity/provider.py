"""All that the provider knows: what it was started with, and what it remembers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Annotated

import httpx
from fastapi import Depends, Request

from demo.identity.attempts import Attempts
from demo.identity.clients import Clients
from demo.identity.grants import LIFETIME, AccessToken, Code, RefreshToken
from demo.identity.keys import Keys
from demo.identity.sessions import Sessions
from demo.identity.shelf import Shelf

CODE_LIFETIME = 60.0
REPLAYS_SEEN = 600.0  # how long a code is remembered, so that a second use of it is known as one


@dataclass
class Provider:
    """`access_lifetime` is in seconds. `transport` is how clients are told of a logout: over sockets, or as a test
    wishes.
    """

    issuer: str
    clients: Clients
    keys: Keys
    clock: Callable[[], float]
    access_lifetime: int
    transport: httpx.AsyncBaseTransport | None
    secret: bytes = field(default_factory=lambda: token_bytes(32))
    sessions: Sessions = field(default_factory=Sessions)
    attempts: Attempts = field(default_factory=Attempts)
    codes: Shelf[Code] = field(default_factory=lambda: Shelf(REPLAYS_SEEN))
    refresh_tokens: Shelf[RefreshToken] = field(default_factory=lambda: Shelf(LIFETIME))
    access_tokens: Shelf[AccessToken] = field(init=False)

    def __post_init__(self) -> None:
        self.access_tokens = Shelf(self.access_lifetime, most=100_000)

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock()


async def _provider(request: Request) -> Provider:
    provider: Provider = request.app.state.provider
    return provider


Ours = Annotated[Provider, Depends(_provider)]
