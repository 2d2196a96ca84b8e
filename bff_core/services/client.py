"""What every service client is made of."""

from collections.abc import Hashable, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, TypeVar, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, Field

from bff_core.upstream import Call, Download, Endpoint, QueryValue, Template, Upstream
from bff_core.wire import ReplyStream

__all__ = ["Answer", "Cursor", "ServiceClient", "Slug", "connect", "services_of"]

T = TypeVar("T")


Slug = Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
"""An id that is safe in paths and pages: lower-case words with dashes between."""

Cursor = Annotated[str, Field(max_length=400, pattern=r"^[A-Za-z0-9_=-]+$")]
"""Where a page of a list ended; only the service knows what it says."""


class Answer(BaseModel):
    """A model of what a service answers. It declares only what we read, so that the service may grow."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ServiceClient:
    """The typed face of one upstream. Methods are nouns of the answer; none of them sends anything by itself."""

    service: ClassVar[str]
    """The name of the upstream in the settings."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

    def get(
        self,
        template: str,
        *,
        returns: type[T],
        query: Mapping[str, QueryValue] | None = None,
        rejection_names: str | None = None,
        **values: str,
    ) -> Call[T]:
        """A call whose reply must fit ``returns``. ``values`` fill the template, each within its path segment.

        Where the upstream rejects what we send (400, 422), that is its failure; unless ``rejection_names`` the
        parameter that only it can judge, such as a cursor: then the client is told that this one is wrong.
        """
        endpoint: Endpoint[T] = _endpoint(template, cast("Hashable", returns), rejection_names)
        return Call(self.upstream, endpoint, endpoint.template.fill(values, query))

    def download(
        self, template: str, *, media_type: str, if_none_match: str | None, **values: str
    ) -> Call[ReplyStream]:
        """A call whose reply of this ``media_type`` is handed on as it arrives."""
        endpoint = _download(template, media_type)
        # servers hand on the white space around a value, and clients must not send it
        tag = (if_none_match or "").strip(" \t").encode("latin-1")
        headers = ((b"if-none-match", tag),) if tag else ()
        return Call(self.upstream, endpoint, endpoint.template.fill(values), headers)


def services_of(clients: type[Any]) -> dict[str, type[ServiceClient]]:
    """The members of a dataclass of service clients, as a gateway declares it: name of the member and its client."""
    return get_type_hints(clients)


def connect(clients: type[T], upstreams: Mapping[str, Upstream]) -> T:
    """A dataclass of service clients, each on its upstream."""
    return clients(**{member: client(upstreams[client.service]) for member, client in services_of(clients).items()})


@cache
def _endpoint(template: str, returns: Hashable, rejection_names: str | None) -> Endpoint[Any]:
    return Endpoint("GET", Template(template), returns, rejection_names)


@cache
def _download(template: str, media_type: str) -> Download:
    return Download(Template(template), media_type)
