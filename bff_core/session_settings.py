"""How browsers log in, and how long they stay logged in."""

from base64 import b64decode
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from bff_core.bearer_settings import Algorithm, called_at, issuer_url, trustworthy_url
from bff_core.redis_url import RedisUrl
from bff_core.setting_types import Duration, Secret, Strict
from bff_core.upstream_settings import UpstreamSettings

__all__ = ["SessionSettings"]

_KEY: Final = 32  # bytes of AES-256
_SCOPE: Final = r"^[\x21\x23-\x5b\x5d-\x7e]+$"  # RFC 6749, 3.3
_PATIENCE: Final = "2s"
_USUAL: Final = {"https": 443, "http": 80}


def _origin(value: str) -> str:
    url = urlsplit(trustworthy_url(value))
    if url.path or "?" in value or url.hostname is None:
        raise ValueError('holds more than scheme, host and port; write it like "https://www.shop.example"')
    if url.netloc.endswith(":") or url.port == _USUAL[url.scheme]:
        # or Origin and Host, which browsers write without it, would never be ours
        raise ValueError('names a port that browsers leave out; write it like "https://www.shop.example"')
    return value.lower()


def _keys(value: SecretStr) -> SecretStr:
    try:
        keys = _decoded(value)
    except ValueError:
        raise ValueError("is no base64") from None
    if any(len(key) != _KEY for key in keys):
        raise ValueError(f"holds a key that has not {_KEY} bytes; make one with `openssl rand -base64 {_KEY}`")
    if len(set(keys)) < len(keys):
        raise ValueError("holds one twice")
    return value


def _decoded(value: SecretStr) -> tuple[bytes, ...]:
    return tuple(b64decode(one.strip(), validate=True) for one in value.get_secret_value().split(","))


def _store(value: SecretStr) -> SecretStr:
    said = value.get_secret_value()
    if said != "memory":
        RedisUrl.parse(said)  # which never quotes what is wrong: there may be a password in it
    return value


class SessionSettings(Strict):
    """Logging in with an OpenID Connect provider; tokens stay here, and the browser gets a cookie."""

    origin: Annotated[str, AfterValidator(_origin)]
    """Where browsers see this gateway: ``https``, or ``http`` on this machine."""

    issuer: Annotated[str, AfterValidator(issuer_url)]
    """The URL of the provider, exactly as its metadata names it."""

    client_id: Annotated[str, Field(min_length=1, pattern=r"^[\x20-\x7e]+$")]
    """Who we are to the provider,"""

    client_secret: Annotated[Secret, Field(min_length=1)]
    """and what proves it: in the environment, as ``BFF_WEB__SESSION__CLIENT_SECRET``."""

    client_proof: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    """Where it is shown: in ``Authorization``, or in the form."""

    keys: Annotated[Secret, AfterValidator(_keys)]
    """What sessions are encrypted with: base64 of 32 random bytes, in the environment. Several, with commas between,
    are all read, and the first is written with.
    """

    store: Annotated[Secret, AfterValidator(_store)] = SecretStr("memory")
    """Where sessions are kept: the memory of this process, or Redis by its URL, which may hold a password."""

    scopes: Annotated[tuple[Annotated[str, Field(pattern=_SCOPE)], ...], Field(min_length=1)] = ("openid",)
    """What is asked for."""

    idle: Duration = 1800.0
    """A session that nobody uses for so long ends,"""

    absolute: Duration = 43_200.0
    """and every one after this time."""

    login: Annotated[Duration, Field(le=3600)] = 600.0
    """How long somebody may take to log in."""

    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256", "EdDSA")
    """What the provider may sign with."""

    leeway: Annotated[Duration, Field(le=300)] = 30.0
    """How far its clock may be from ours."""

    upstream: Annotated[UpstreamSettings | None, Field(validate_default=True)] = None
    """How the provider is called; see ``BearerSettings.upstream``. An attempt has two seconds, because a login is sent
    once, and the provider looks at databases and keys for it.
    """

    @property
    def called(self) -> UpstreamSettings:
        """``upstream``, with what was not set filled in."""
        assert self.upstream is not None
        return self.upstream

    @property
    def sealing_keys(self) -> tuple[bytes, ...]:
        """The newest first."""
        return _decoded(self.keys)

    @property
    def place(self) -> str:
        """Where sessions are kept, for people: without user and password."""
        return f"Redis at {RedisUrl.parse(self.store.get_secret_value()).place}" if self.is_shared else "memory"

    @property
    def is_shared(self) -> bool:
        """Other processes know its sessions too."""
        return self.store.get_secret_value() != "memory"

    @property
    def is_secure(self) -> bool:
        """Cookies go over TLS alone. Where it is false, this is a machine for development."""
        return self.origin.startswith("https:")

    @field_validator("scopes")
    @classmethod
    def _is_openid(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value:
            raise ValueError('holds no "openid", without which nobody is told who it is')
        return value

    @field_validator("upstream", mode="before")
    @classmethod
    def _where_its_url_says(cls, value: Any, info: ValidationInfo) -> Any:
        return called_at(value, info, timeout=_PATIENCE)
