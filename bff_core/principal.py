"""Who asks, as far as that is proven."""

from typing import NamedTuple

__all__ = ["Principal"]


class Principal(NamedTuple):
    """Somebody that someone vouches for. Equal ones are one: calls that tell who asks are shared by equals alone."""

    # a tuple, because calls are looked for by it, and its hash is worked out in C

    issuer: str
    """Who vouches: the URL of an issuer of tokens, or the name of a gateway that keeps keys."""

    subject: str
    """Who it is, in the words of the issuer; two issuers may use the same for two."""

    scopes: frozenset[str] = frozenset()
    """What it may do."""

    client_id: str = ""
    """The program that acts for it."""

    plan: str = ""
    """How much it may do; empty is the gateway's default."""
