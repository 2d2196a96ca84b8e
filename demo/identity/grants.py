"""What a client was given, and what it came to it by."""

from dataclasses import dataclass

from demo.identity.clients import Client
from demo.identity.sessions import Session

LIFETIME = 12 * 3600.0  # however often it is refreshed


@dataclass(eq=False)
class Grant:
    """The root of a family of tokens: when it ends, all of them are worth nothing. Without a session it is of a
    client that acts for itself.
    """

    client: Client
    scopes: tuple[str, ...]
    audience: str
    session: Session | None
    auth_time: float
    ended: bool = False

    @property
    def subject(self) -> str:
        """The user, or the client itself (RFC 9068, section 2.2)."""
        return self.session.user.id if self.session else self.client.id

    @property
    def lives(self) -> bool:
        """Nobody has revoked it, and nobody has logged out."""
        return not self.ended and not (self.session and self.session.ended)


@dataclass(eq=False)
class Code:
    """An authorization code, once; what it is bound to."""

    grant: Grant
    redirect_uri: str
    challenge: str
    nonce: str | None
    until: float
    used: bool = False


@dataclass(eq=False)
class RefreshToken:
    """Good for one use. A second one is a theft, of which nobody knows who the thief is (RFC 9700, section 4.14.2)."""

    grant: Grant
    until: float
    used: bool = False


@dataclass(eq=False)
class AccessToken:
    """One that is out."""

    grant: Grant
    id: str
    scopes: tuple[str, ...]
    issued: float
    until: float
    revoked: bool = False

    def good(self, now: float) -> bool:
        """Whether it opens anything."""
        return not self.revoked and self.grant.lives and self.until > now
