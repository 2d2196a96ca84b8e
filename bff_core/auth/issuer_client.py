"""What an issuer publishes, and what it answers about a token: the calls of an upstream like any other."""

import re
from functools import lru_cache
from typing import Any, Final, Generic, NamedTuple, TypeVar

from pydantic import SecretStr

from bff_core.errors import BadReply
from bff_core.services.client import Answer, ServiceClient
from bff_core.upstream import Call, Endpoint, Template
from bff_core.wire import Instance, Reply, header

__all__ = ["Document", "IssuerClient", "KeySet", "Metadata"]

T = TypeVar("T")

_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_MAX_AGE: Final = re.compile(r"\bmax-age=(\d{1,9})\b", re.IGNORECASE)
_NOT_KEPT: Final = re.compile(r"\bno-(store|cache)\b", re.IGNORECASE)


class Metadata(Answer):
    """What an issuer says of itself, as far as we use it."""

    issuer: str
    jwks_uri: str | None = None
    introspection_endpoint: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    revocation_endpoint: str | None = None
    end_session_endpoint: str | None = None
    authorization_response_iss_parameter_supported: bool | None = None


class KeySet(Answer):
    """Keys as they are published; what is in them is looked at one by one."""

    keys: list[Any]


class Document(NamedTuple, Generic[T]):
    """Something that was published, and for how many seconds it is fresh."""

    content: T
    fresh: float


class IssuerClient(ServiceClient):
    """The issuer, or another origin that it has sent us to."""

    service = "issuer"

    def metadata(self, target: str, issuer: str) -> Call[Document[Metadata]]:
        """What is published there by ``issuer``; of anyone else, it is a bad reply."""
        return Call(self.upstream, _metadata_at(target, issuer), target)

    def keys(self, target: str) -> Call[Document[KeySet]]:
        """The key set that is published there."""
        return Call(self.upstream, _Published(target, KeySet), target)

    def introspection(self, target: str, token: str, credentials: SecretStr) -> Call[dict[str, Any]]:
        """What is said there of a token (RFC 7662)."""
        return self.ask(
            target,
            form={"token": token, "token_type_hint": "access_token"},
            authorization=credentials,
            returns=dict[str, Any],
        )


class _Published(Endpoint[Document[T]]):
    """Read with how long it is fresh."""

    __slots__ = ()

    def __init__(self, target: str, returns: type[T]) -> None:
        super().__init__("GET", Template(target), returns)

    def read(self, instance: Instance, reply: Any) -> Document[T]:
        found: Any = super().read(instance, reply)
        return Document(found, _fresh(reply))


class _MetadataOf(_Published[Metadata]):
    """Of one issuer. That of another is the upstream's failure, and counts as one: its circuit opens."""

    __slots__ = ("_issuer",)

    def __init__(self, target: str, issuer: str) -> None:
        super().__init__(target, Metadata)
        self._issuer = issuer

    def read(self, instance: Instance, reply: Any) -> Document[Metadata]:
        found = super().read(instance, reply)
        if found.content.issuer != self._issuer:
            raise BadReply(instance.upstream, "its metadata is that of another issuer")
        return found


@lru_cache(maxsize=32)
def _metadata_at(target: str, issuer: str) -> _MetadataOf:
    return _MetadataOf(target, issuer)  # the same one each time, or equal calls would not share an answer


def _fresh(reply: Reply) -> float:
    control = header(reply.headers, b"cache-control") or ""
    if _NOT_KEPT.search(control):
        return 0.0
    said = _MAX_AGE.search(control)
    return min(float(said[1]), _DAY) if said else _HOUR
