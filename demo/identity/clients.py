"""Who may ask for tokens, and what for."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

OURS = Path(__file__).parent / "clients.toml"
LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::\d{1,5})?(/[!-~]*)")

Grant = Literal["authorization_code", "refresh_token", "client_credentials"]


def _absolute(uri: str) -> str:
    parts = urlsplit(uri)
    if not parts.scheme or "#" in uri or (parts.scheme in {"http", "https"} and not parts.netloc):
        raise ValueError(f"{uri!r} is no absolute URI without a fragment")  # RFC 6749, 3.1.2
    return uri


Uri = Annotated[str, AfterValidator(_absolute)]


class Client(BaseModel):
    """One that is registered. Without a secret it is a public one: it proves who it is by PKCE alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    name: str
    """What people call it."""
    secret: str | None = None
    grants: tuple[Grant, ...] = ()
    scopes: tuple[str, ...] = ()
    """The most that it may have."""
    audiences: tuple[str, ...] = ("store",)
    """What its tokens may be for, and what it may introspect tokens for; the first unless it asks for another."""
    redirect_uris: tuple[Uri, ...] = ()
    post_logout_redirect_uris: tuple[Uri, ...] = ()
    backchannel_logout_uri: Uri | None = None
    algorithm: Literal["ES256", "RS256"] = "ES256"
    """What its tokens are signed with."""
    opaque: bool = False
    """Access tokens that say nothing by themselves."""
    introspects: bool = False
    """It may ask what tokens are worth."""

    @model_validator(mode="after")
    def _keeps_a_secret(self) -> Self:
        if self.secret is None and (self.introspects or "client_credentials" in self.grants):
            raise ValueError("it needs a secret for what it may do")
        return self

    def takes(self, redirect_uri: str) -> bool:
        """Whether codes may be sent there: exactly as registered, but for the port of an app on this machine."""
        if redirect_uri in self.redirect_uris:
            return True
        loopback = LOOPBACK.fullmatch(redirect_uri)
        return self.secret is None and loopback is not None and "".join(loopback.groups()) in self.redirect_uris

    def allowed(self, scope: str) -> tuple[str, ...]:
        """Those of the scopes asked for that it may have, once each."""
        return tuple(one for one in dict.fromkeys(scope.split()) if one in self.scopes)


Clients = Mapping[str, Client]


def load(path: Path = OURS) -> Clients:
    """The clients in this file. ValueError is one line about what is wrong with it."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: Client.model_validate({**table, "id": name}) for name, table in tables.items()}
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join([error.title, *map(str, first["loc"])])
        raise ValueError(f"{path}: {place}: {first['msg']}") from error
    except (ValueError, TypeError) as error:  # no TOML; no table
        raise ValueError(f"{path}: {error}") from error


def told_at(clients: Clients, places: Iterable[str]) -> Clients:
    """Clients that are told of logouts at ``CLIENT=URL``. ValueError is one line about what is wrong with it.

    Of use where a client is reached by another name than browsers have for it, as between containers.
    """
    found = dict(clients)
    for place in places:
        name, _, url = place.partition("=")
        if name not in found or urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc:
            raise ValueError(
                f"--logouts: {place!r} is no client and its URL, like web=http://web:8000/logout/backchannel"
            )
        found[name] = found[name].model_copy(update={"backchannel_logout_uri": url})
    return found
