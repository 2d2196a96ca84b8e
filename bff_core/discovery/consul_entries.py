"""What Consul answers about the instances of a service, read as members.

The shape is that of https://developer.hashicorp.com/consul/api-docs/health, of which only what is read is declared.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from bff_core.discovery.contract import Member, SourceFailed
from bff_core.setting_types import Host
from bff_core.wire import Instance

__all__ = ["Entries"]

_HEAVIEST: Final = 65535
_LONGEST_NAME: Final = 253
_LONGEST_ID: Final = 100  # characters of it that are shown
_HOST: Final = TypeAdapter[str](Host)


def _weight(value: Any) -> Any:
    # an agent takes nothing else from who registers; what got past it says nothing, and not that nobody should call
    return value if type(value) is int and 1 <= value <= _HEAVIEST else 1


class _Answered(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _Meta(_Answered):
    zone: str = ""


class _Locality(_Answered):
    zone: Annotated[str, Field(alias="Zone")] = ""


class _Weights(_Answered):
    passing: Annotated[float, BeforeValidator(_weight), Field(alias="Passing")] = 1.0


class _Somewhere(_Answered):
    address: Annotated[str, Field(alias="Address")] = ""
    meta: Annotated[_Meta | None, Field(alias="Meta")] = None
    locality: Annotated[_Locality | None, Field(alias="Locality")] = None


class _Service(_Somewhere):
    id: Annotated[str, Field(alias="ID")] = ""
    port: Annotated[int, Field(alias="Port")] = 0
    weights: Annotated[_Weights | None, Field(alias="Weights")] = None


class _Entry(_Answered):
    node: Annotated[_Somewhere, Field(alias="Node")]
    service: Annotated[_Service, Field(alias="Service")]

    @property
    def host(self) -> str:
        return self.service.address or self.node.address

    @property
    def zone(self) -> str:
        metas, localities = (self.service.meta, self.node.meta), (self.service.locality, self.node.locality)
        return next((place.zone for place in (*metas, *localities) if place is not None and place.zone), "")

    @property
    def weight(self) -> float:
        return self.service.weights.passing if self.service.weights else 1.0

    @property
    def fault(self) -> str:
        """Why it cannot be an instance; empty where it can."""
        if not 1 <= self.service.port <= 65535:
            return f"port {self.service.port}"
        return "" if _is_host(self.host) else f"address {self.host[:_LONGEST_NAME]!r}"


_LIST: Final = TypeAdapter(list[_Entry])


class Entries(NamedTuple):
    """One answer, as far as it can be used."""

    members: Sequence[Member]
    left_out: Sequence[str]
    """What cannot be an instance: its id in Consul, and why. Never everything that was answered."""

    @classmethod
    def read(cls, upstream: str, scheme: str, body: bytes) -> "Entries":
        """From the body of an answer. Raises ``SourceFailed`` where it has another shape, or is of no use at all.

        What single registrations say is their own affair: one that is wrong is left out, and the others count.
        """
        try:
            entries = _LIST.validate_json(body)
        except ValidationError as error:
            raise SourceFailed(f"no list of instances: {_first(error)}") from None  # or it would bring the body along
        left_out = [f"{entry.service.id[:_LONGEST_ID]!r} ({entry.fault})" for entry in entries if entry.fault]
        members = [_member(upstream, scheme, entry) for entry in entries if not entry.fault]
        if left_out and not members:
            raise SourceFailed(f"nothing that can be an instance among {len(left_out)}: {left_out[0]}")
        return cls(members, left_out)


def _member(upstream: str, scheme: str, entry: _Entry) -> Member:
    return Member(Instance(upstream, scheme, entry.host.lower(), entry.service.port), entry.zone, entry.weight)


def _is_host(text: str) -> bool:
    if not text.isascii() or "%" in text or len(text) > _LONGEST_NAME:
        return False  # behind a % is an interface of whoever registered, and none of ours
    try:
        _HOST.validate_python(f"[{text}]" if ":" in text else text)
    except ValidationError:
        return False
    return True


def _first(error: ValidationError) -> str:
    wrong = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ": ".join(filter(None, (".".join(map(str, wrong["loc"])), wrong["msg"])))
