"""Proof that whoever brings a code has asked for it (RFC 7636): a secret that is kept, and its hash that is shown."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from secrets import token_urlsafe

__all__ = ["challenge_of", "new_verifier"]


def new_verifier() -> str:
    """256 bits that nobody can guess, in 43 characters."""
    return token_urlsafe(32)


def challenge_of(verifier: str) -> str:
    """What is shown of it, with ``code_challenge_method=S256``."""
    return urlsafe_b64encode(sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")
