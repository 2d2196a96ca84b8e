"""Where the instances of an upstream are looked up, written as one word: ``dns:``, ``consul:`` or ``kubernetes:``."""

import re
from typing import Annotated, Any, ClassVar, Final, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import BeforeValidator, InstanceOf

from bff_core.setting_types import Strict

__all__ = ["ConsulLookup", "Discover", "DnsLookup", "KubernetesLookup", "Lookup", "is_host_name"]

_LABEL: Final = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?"
_HOST_NAME: Final = re.compile(rf"(?=.*[a-z]){_LABEL}(\.{_LABEL})*\.?", re.IGNORECASE)
_SERVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_KUBERNETES: Final = re.compile(
    r"(?:(?P<namespace>[a-z0-9][a-z0-9-]{0,62})/)?(?P<service>[a-z][a-z0-9-]{0,62})(?::(?P<port>[a-z0-9-]{1,63}))?"
)
_LONGEST_NAME: Final = 253


def is_host_name(text: str) -> bool:
    """A host can be called that, with or without a last dot, and it is no address."""
    return len(text) <= _LONGEST_NAME and _HOST_NAME.fullmatch(text) is not None


class Lookup(Strict):
    """One way to find instances. ``text`` is how it was written."""

    kind: ClassVar[str]

    text: str
    scheme: str | None
    """What instances are spoken to with: ``http`` or ``https``; ``None`` where their source says it."""

    def __str__(self) -> str:
        return self.text


class DnsLookup(Lookup):
    """``dns:http://catalog.internal:7001`` asks for addresses (A and AAAA), ``dns:http://_http._tcp.catalog.internal``
    for services (SRV), whose records name host and port.
    """

    kind: ClassVar[str] = "dns"

    scheme: str
    name: str
    port: int | None
    """``None`` asks for SRV records."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """From how it is written; ``ValueError`` where that is wrong."""
        url = urlsplit(text.removeprefix("dns:"))
        name = url.hostname or ""
        if url.scheme not in {"http", "https"} or not is_host_name(name):
            raise ValueError(f'{text!r} is no name; write it like "dns:http://catalog.internal:7001"')
        if url.path not in {"", "/"} or url.query or url.fragment or "@" in url.netloc or url.port == 0:
            raise ValueError(f"{text!r} holds more than scheme, name and port")
        if not name.startswith("_"):
            return cls(text=text, scheme=url.scheme, name=name, port=url.port or (443 if url.scheme == "https" else 80))
        if url.port is not None:
            raise ValueError(f"{text!r} names a port, and SRV records bring their own")
        return cls(text=text, scheme=url.scheme, name=name, port=None)


class ConsulLookup(Lookup):
    """``consul:catalog``, ``consul:catalog?tag=v2&tag=eu&datacenter=dc2&scheme=https``: what is registered under that
    name, has all these tags, and passes its checks.
    """

    kind: ClassVar[str] = "consul"

    scheme: str
    service: str
    tags: tuple[str, ...] = ()
    datacenter: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """From how it is written; ``ValueError`` where that is wrong."""
        service, options = _options(text, {"tag", "datacenter", "scheme"})
        if not _SERVICE.fullmatch(service):
            raise ValueError(f'{text!r} names no service; write it like "consul:catalog"')
        tags = tuple(value for name, value in options if name == "tag")
        return cls(
            text=text,
            scheme=_scheme(text, options) or "http",
            service=service,
            tags=tags,
            datacenter=_only(text, options, "datacenter"),
        )


class KubernetesLookup(Lookup):
    """``kubernetes:catalog``, ``kubernetes:store/catalog:http?scheme=https``: the endpoints of a Service that are
    ready, in a namespace (by default the gateway's own), at the port of that name or number (by default the only one).
    Without ``scheme`` it is ``https`` where the ``appProtocol`` of the port is, else ``http``.
    """

    kind: ClassVar[str] = "kubernetes"

    service: str
    namespace: str | None = None
    port: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """From how it is written; ``ValueError`` where that is wrong."""
        place, options = _options(text, {"scheme"})
        found = _KUBERNETES.fullmatch(place)
        if not found:
            raise ValueError(f'{text!r} names no service; write it like "kubernetes:store/catalog:http"')
        return cls(text=text, scheme=_scheme(text, options), **found.groupdict())


_KINDS: Final = {kind.kind: kind for kind in (DnsLookup, ConsulLookup, KubernetesLookup)}


def _parse(value: Any) -> Any:
    if isinstance(value, Lookup):
        return value
    kind = value.partition(":")[0] if isinstance(value, str) else ""
    if kind not in _KINDS:
        raise ValueError(f"{value!r} is nothing to look up; it begins with {', '.join(f'{kind}:' for kind in _KINDS)}")
    if not value.isprintable() or " " in value:  # or a part of it would be passed over
        raise ValueError(f"{value!r} holds a blank, or what cannot be printed")
    return _KINDS[kind].parse(value)


Discover = Annotated[InstanceOf[Lookup], BeforeValidator(_parse)]
"""A lookup as it is written in settings."""


def _options(text: str, known: set[str]) -> tuple[str, list[tuple[str, str]]]:
    place, _, query = text.partition(":")[2].partition("?")
    options = parse_qsl(query, keep_blank_values=True)
    for name, value in options:
        if name not in known or not value:
            raise ValueError(
                f"{text!r}: {name}: there is no such option, or it is empty; there are {', '.join(sorted(known))}"
            )
    return place, options


def _only(text: str, options: list[tuple[str, str]], name: str) -> str | None:
    values = [value for key, value in options if key == name]
    if len(values) > 1:
        raise ValueError(f"{text!r}: {name} is given twice")
    return values[0] if values else None


def _scheme(text: str, options: list[tuple[str, str]]) -> str | None:
    scheme = _only(text, options, "scheme")
    if scheme not in {None, "http", "https"}:
        raise ValueError(f"{text!r}: scheme is http or https")
    return scheme
