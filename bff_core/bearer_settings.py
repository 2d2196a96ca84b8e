"""How tokens that clients bear are judged."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from bff_core.setting_types import Duration, Strict
from bff_core.upstream_settings import UpstreamSettings

__all__ = ["Algorithm", "BearerSettings", "IntrospectionSettings"]

Algorithm = Literal["RS256", "ES256", "EdDSA", "Ed25519"]


class IntrospectionSettings(Strict):
    """Asking the issuer about tokens that say nothing by themselves (RFC 7662)."""

    client_id: str
    client_secret: SecretStr


class BearerSettings(Strict):
    """Who may vouch for the clients of a gateway, and for what."""

    issuer: str
    """Its URL, exactly as its tokens and its metadata name it (``iss``)."""

    audience: str
    """What a token must be for (``aud``)."""

    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256", "EdDSA")
    leeway: Duration = 30.0
    """How far the issuer's clock may be from ours."""

    types: Annotated[tuple[str, ...], Field(min_length=1)] = ("at+jwt", "application/at+jwt", "JWT")
    """What a token that says its ``typ`` must say."""

    introspection: IntrospectionSettings | None = None
    """Without it, tokens that are no JWT are refused."""

    upstream: UpstreamSettings | None = None
    """How the issuer is called; by default as every upstream is, where its URL says."""
