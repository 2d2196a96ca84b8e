"""What can be set for a gateway, typed and checked at start.

One TOML file per gateway, environment over it: ``BFF_WEB__DEADLINE=3s`` sets ``deadline`` of the gateway ``web``,
``BFF_WEB__UPSTREAMS__CATALOG__TIMEOUT=1s`` sets ``timeout`` in ``[upstreams.catalog]``. What is wrong, and what
nothing would read, stops the start with the key and the reason.
"""

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as PydanticSettingsError

from bff_core.bearer_settings import BearerSettings, host_of
from bff_core.discovery_settings import DiscoverySettings
from bff_core.key_settings import KeySettings
from bff_core.relay_settings import RelaySettings
from bff_core.session_settings import SessionSettings
from bff_core.setting_types import Duration, Host, Listen, Strict
from bff_core.tls import ServerTlsSettings
from bff_core.upstream_settings import UpstreamSettings

__all__ = ["GatewaySettings", "SecretMissing", "SettingsError", "SizeLimits", "UpstreamSettings", "load"]


class SettingsError(Exception):
    """A setting is wrong; the message is one line a setting, each with its key and the reason."""


class SecretMissing(SettingsError):
    """Among what is wrong is a secret that the environment should have, and has not."""


Region = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2."""

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
"""ISO 4217."""


BaggageKey = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
"""A token (RFC 9110, 5.6.2)."""


class SizeLimits(Strict):
    """How much a client may send. Bytes, and a number of headers."""

    body: Annotated[int, Field(ge=0)] = 1024 * 1024
    header_block: Annotated[int, Field(gt=0)] = 32 * 1024
    headers: Annotated[int, Field(gt=0)] = 100
    target: Annotated[int, Field(gt=0)] = 8 * 1024


class GatewaySettings(BaseSettings):
    """Everything that can be set for one gateway."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=False,
        env_nested_delimiter="__",
        hide_input_in_errors=True,  # because there are tokens in it
    )

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    listen: Listen
    admin: Listen
    """Where ``/healthz`` lives; for operators, never the clients' port."""

    tls: ServerTlsSettings | None = None
    """What clients get TLS with; without it they get none, and something in front of the gateway sees to that."""

    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes that share the work, each on a core of its own."""

    drain: Duration = 5.0
    """How long a gateway that is told to end goes on, so that whoever routes to it can notice."""

    connections: Annotated[int, Field(gt=0)] = 10_000
    """Of clients, at once; the next is refused."""

    in_flight: Annotated[int, Field(gt=0)] = 1000
    """Requests at once; the next is refused, because a queue would hide an overload."""

    deadline: Duration
    """The time one request gets; a client may ask for less in ``Request-Timeout``, never for more."""

    hosts: Annotated[list[Host], Field(min_length=1)] = [
        "localhost",
        "127.0.0.1",
        "[::1]",
    ]
    """The values of ``Host`` this gateway answers for, without ports."""

    regions: Annotated[dict[Region, Currency], Field(min_length=1)] = {"US": "USD"}
    """Regions that are served, each with its currency; the first is the default."""

    zone: str = ""
    """Where this gateway is: instances in the same zone get the calls, as long as most of them are well."""

    bearer: BearerSettings | None = None
    """Clients may prove who they are with a token."""

    keys: KeySettings | None = None
    """Clients may prove who they are with an API key."""

    session: SessionSettings | None = None
    """Browsers may log in."""

    relay: RelaySettings | None = None
    """Upstreams that want to know who asks are told, by a token of ours."""

    baggage: tuple[BaggageKey, ...] = ()
    """What of a client's ``baggage`` goes to all upstreams: the members of these keys (W3C Baggage). The others are
    left out, because anybody could have written them.
    """

    upstreams: dict[str, UpstreamSettings]
    discovery: DiscoverySettings = DiscoverySettings()
    sizes: SizeLimits = SizeLimits()

    @property
    def not_shared(self) -> str | None:
        """What several processes must have in common, and these would not."""
        if self.workers == 1:
            return None
        if self.session is not None and not self.session.is_shared:
            return (
                "session.store: sessions in memory are known to one process alone, and there are several workers: "
                'set it to "redis://...", or workers to 1'
            )
        if self.relay is not None and not self.relay.is_shared:
            return "relay.keys: several workers must sign with the same key: set it, or workers to 1"
        return None

    @model_validator(mode="after")
    def _listeners_differ(self) -> "GatewaySettings":
        if self.admin == self.listen:
            raise ValueError("admin: the listener for operators must not be the clients' own")
        return self

    @model_validator(mode="after")
    def _processes_share(self) -> "GatewaySettings":
        if (lacking := self.not_shared) is not None:
            raise ValueError(lacking)
        return self

    @model_validator(mode="after")
    def _browsers_are_answered(self) -> "GatewaySettings":
        if self.session is not None and (host := host_of(self.session.origin)) not in map(str.lower, self.hosts):
            raise ValueError(f"session.origin: its host {host!r} is not among hosts, so that nobody would be answered")
        return self

    @model_validator(mode="after")
    def _what_is_asked_is_used(self) -> "GatewaySettings":
        vouching = [one.called for one in (self.bearer, self.session) if one is not None]
        called = [*self.upstreams.values(), *vouching]
        used = {upstream.discover.kind for upstream in called if upstream.discover is not None}
        if unread := sorted(self.discovery.model_fields_set - used):
            raise ValueError(f"discovery.{unread[0]}: no upstream is looked up there")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (env_settings, init_settings)


def load(file: Path, over: Callable[[str], Mapping[str, Any]] | None = None) -> GatewaySettings:
    """The settings in ``file`` with the environment over them; ``SettingsError`` where they are wrong.

    ``over`` is asked for each table of the file, by its name, and what it says goes over it, and under the environment.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {error}") from error
    prefix = f"BFF_{values.get('name', '')}__".upper()
    _refuse_private(file, values)
    _refuse_unread(prefix)
    if over is not None:
        values |= {name: {**table, **over(name)} for name, table in values.items() if isinstance(table, dict)}
    try:
        return GatewaySettings(_env_prefix=prefix, **values)
    except ValidationError as error:
        lines = "\n".join(f"{file}: {_line(wrong, prefix)}" for wrong in error.errors())
        lacking = any(_lacks_secret(wrong) for wrong in error.errors())
        raise (SecretMissing if lacking else SettingsError)(lines) from error
    except PydanticSettingsError as error:  # a list or table in the environment that is no JSON
        raise SettingsError(f"environment {prefix}*: {error}: {error.__cause__}") from error


def _refuse_private(file: Path, values: dict[str, Any]) -> None:
    # pydantic-settings would take it for an order to itself, such as to read another file
    for key in values:
        if key.startswith("_"):
            raise SettingsError(f"{file}: {key}: there is no such setting")


def _refuse_unread(prefix: str) -> None:
    # pydantic-settings passes over what it does not know; a misspelt name must not look as if it worked
    for name in os.environ:
        if name.upper().startswith(prefix[:-1]) and "__" not in name:
            raise SettingsError(f"environment {name}: two underscores are needed behind {prefix[:-2]}")
        if name.upper().startswith(prefix):
            key, *members = name.upper().removeprefix(prefix).lower().split("__")
            if key not in GatewaySettings.model_fields or (members and not _has_members(key)):
                raise SettingsError(f"environment {name}: there is no setting {'.'.join([key, *members])!r}")
            if key == "name":
                raise SettingsError(f"environment {name}: name: is set in the file alone, and leads to this variable")


def _has_members(key: str) -> bool:
    found = GatewaySettings.model_fields[key].annotation
    return get_origin(found) is dict or _table(found) is not None


def _table(annotation: Any) -> type[BaseModel] | None:
    """The table that is written there, if it is one; it may be left out."""
    for found in (annotation, *get_args(annotation)):
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return None


def _is_secret(place: Sequence[int | str]) -> bool:
    annotation: Any = GatewaySettings
    for step in place:
        table = _table(annotation)
        if table is None or step not in table.model_fields:
            return False
        annotation = table.model_fields[str(step)].annotation
    return annotation is SecretStr


def _lacks_secret(wrong: ErrorDetails) -> bool:
    return wrong["type"] == "missing" and _is_secret(wrong["loc"])


def _line(wrong: ErrorDetails, prefix: str) -> str:
    place = ".".join(str(step) for step in wrong["loc"])
    reason = {"extra_forbidden": "there is no such setting", "missing": "is missing"}.get(wrong["type"], wrong["msg"])
    if _lacks_secret(wrong):
        reason = f"is missing; set {prefix}{'__'.join(map(str, wrong['loc'])).upper()} in the environment"
    return f"{place}: {reason}".removeprefix(": ").replace("Value error, ", "")
