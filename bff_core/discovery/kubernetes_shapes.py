"""What the API of Kubernetes says (``discovery.k8s.io/v1``), as far as it is read."""

import re
from ipaddress import ip_address
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

__all__ = [
    "EVENT",
    "Bookmark",
    "Change",
    "Conditions",
    "Endpoint",
    "EndpointPort",
    "EndpointSlice",
    "EndpointSliceList",
    "Event",
    "Failure",
    "Status",
]

_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME: Final = re.compile(rf"(?=.{{1,253}}$)(?=.*[a-z]){_LABEL}(\.{_LABEL})*")


def _host(value: str) -> str:
    name = value.lower().removesuffix(".")
    if _HOST_NAME.fullmatch(name):
        return name
    if "%" in value:
        raise ValueError("an address that only counts on one machine")
    return str(ip_address(value))  # as everybody writes it, so that the same address is the same text


Host = Annotated[str, AfterValidator(_host)]


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel, validate_by_name=True)


class Conditions(_Said):
    """Of one endpoint. What is not said is not known."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class _Target(_Said):
    uid: str | None = None


class Endpoint(_Said):
    """One instance: mostly a pod."""

    addresses: Annotated[tuple[Host, ...], Field(min_length=1)]
    """Any of them will do."""

    conditions: Conditions = Conditions()
    zone: str | None = None
    target_ref: _Target | None = None


class EndpointPort(_Said):
    """A port that all endpoints of a slice have."""

    name: str | None = None
    protocol: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    app_protocol: str | None = None


class _Versioned(_Said):
    resource_version: Annotated[str, Field(min_length=1)]


class _Named(_Versioned):
    name: str


class EndpointSlice(_Said):
    """Some of the endpoints of a Service. Of what family they are their addresses say."""

    metadata: _Named
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None


class _Page(_Versioned):
    continue_: Annotated[str, Field(alias="continue")] = ""


class EndpointSliceList(_Said):
    """A page of them."""

    metadata: _Page
    items: tuple[EndpointSlice, ...] | None = None


class Status(_Said):
    """Why something was refused."""

    code: int = 0
    message: str = ""


class Change(_Said):
    """A slice as it is now, or was when it was deleted."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: EndpointSlice


class _Progress(_Said):
    metadata: _Versioned


class Bookmark(_Said):
    """Up to this version there is nothing that was not said."""

    type: Literal["BOOKMARK"]
    object: _Progress


class Failure(_Said):
    """The watch is over."""

    type: Literal["ERROR"]
    object: Status


Event = Change | Bookmark | Failure
"""One line of a watch."""

EVENT: Final = TypeAdapter[Event](Annotated[Event, Field(discriminator="type")])
