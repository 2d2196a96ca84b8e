"""Who is asked where instances are: name servers, Consul, the API of Kubernetes."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

from bff_core.setting_types import Address, Duration, Secret, Strict
from bff_core.tls import TlsSettings

__all__ = ["ConsulSettings", "DiscoverySettings", "DnsSettings", "KubernetesSettings"]


def _url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in {"http", "https"} or not url.hostname or url.port == 0:
        raise ValueError(f'{value!r} is no URL; write it like "http://127.0.0.1:8500"')
    if url.path not in {"", "/"} or url.query or url.fragment or "@" in url.netloc:
        raise ValueError(f"{value!r} holds more than scheme, host and port")
    return value


Url = Annotated[str, AfterValidator(_url)]


def _absolute(value: str) -> str:
    if not Path(value).is_absolute():
        raise ValueError(f"{value!r} is relative, and a gateway may be started from anywhere")
    return value


AbsolutePath = Annotated[str, AfterValidator(_absolute)]


def _name_server(value: str) -> str:
    host, _, port = value.rpartition(":")
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        raise ValueError(f"{value!r} is a name, and nobody has been asked yet: give an address") from None
    if int(port) == 0:
        raise ValueError(f"{value!r} names no port")
    return value


NameServer = Annotated[Address, AfterValidator(_name_server)]


class DnsSettings(Strict):
    """How names are resolved."""

    servers: Annotated[list[NameServer], Field(min_length=1)] | None = None
    """Addresses with ports; without them, those that this machine is set up with."""

    timeout: Duration = 2.0
    """Of one question, to all servers."""

    floor: Duration = 5.0
    """A name is asked for again when its records expire (TTL), and never sooner than this."""


def _header_value(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("is no token: it is empty, or holds what no header may hold")  # and is not shown
    return token


class ConsulSettings(Strict):
    """The agent of Consul that is asked."""

    model_config = ConfigDict(hide_input_in_errors=True)  # because there is a token in it

    url: Url = "http://127.0.0.1:8500"
    token: Annotated[Secret, AfterValidator(_header_value)] | None = None
    wait: Annotated[Duration, Field(ge=1, le=600)] = 60.0
    """How long Consul may hold a question open that has no news; it has a limit of its own, ten minutes."""

    tls: TlsSettings | None = None

    @field_validator("tls")
    @classmethod
    def _is_used(cls, tls: TlsSettings | None, info: ValidationInfo) -> TlsSettings | None:
        url = info.data.get("url", "")
        if tls is not None and urlsplit(url).scheme == "http":
            raise ValueError(f"{url} is not reached over https")
        return tls


class KubernetesSettings(Strict):
    """The API server that is asked. Without ``kubeconfig`` it is that of the cluster the gateway runs in, with the
    service account of its pod.
    """

    kubeconfig: AbsolutePath | None = None
    """The absolute path of one; its current context counts, unless ``context`` names another."""

    context: str | None = None

    service_account: AbsolutePath = "/var/run/secrets/kubernetes.io/serviceaccount"
    """The folder in which a pod finds its token, the certificate of its cluster and its namespace."""

    @model_validator(mode="after")
    def _is_read(self) -> "KubernetesSettings":
        if self.context is not None and self.kubeconfig is None:
            raise ValueError(f"context: there is no kubeconfig that {self.context!r} could be in")
        return self


class DiscoverySettings(Strict):
    """Who is asked; what is not used here stops the start."""

    dns: DnsSettings = DnsSettings()
    consul: ConsulSettings = ConsulSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
