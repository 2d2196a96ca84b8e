"""Who is asked where instances are: name servers, Consul, the API of Kubernetes."""

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from bff_core.setting_types import Address, Duration, Strict
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


class ConsulSettings(Strict):
    """The agent of Consul that is asked."""

    url: Url = "http://127.0.0.1:8500"
    token: SecretStr | None = None
    wait: Duration = 60.0
    """How long Consul may hold a question open that has no news."""

    tls: TlsSettings | None = None


class KubernetesSettings(Strict):
    """The API server that is asked. Without ``kubeconfig`` it is that of the cluster the gateway runs in, with the
    service account of its pod.
    """

    kubeconfig: str | None = None
    """The absolute path of one; its current context counts, unless ``context`` names another."""

    context: str | None = None


class DiscoverySettings(Strict):
    """Who is asked; what is not used here stops the start."""

    dns: DnsSettings = DnsSettings()
    consul: ConsulSettings = ConsulSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
