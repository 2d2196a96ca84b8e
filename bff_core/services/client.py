"""What every service client is made of."""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache, wraps
from operator import attrgetter
from typing import Annotated, Any, ClassVar, TypeVar, get_type_hints
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bff_core.errors import InvalidRequest
from bff_core.upstream import Call, Download, Endpoint, Gathering, QueryValue, Template, Upstream
from bff_core.wire import ReplyStream

__all__ = [
    "Answer",
    "Cursor",
    "ServiceClient",
    "Slug",
    "Tells",
    "connect",
    "in_bulk",
    "services_of",
    "with_form",
]

T = TypeVar("T")
C = TypeVar("C", bound="ServiceClient")


Slug = Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
"""An id that is safe in paths and pages: lower-case words with dashes between."""

Cursor = Annotated[str, Field(max_length=400, pattern=r"^[A-Za-z0-9_=-]+$")]
"""Where a page of a list ended; only the service knows what it says."""


class Answer(BaseModel):
    """A model of what a service answers. It declares only what we read, so that the service may grow."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Tells(Enum):
    """Whom an upstream is told of."""

    GATEWAY = "which gateway asks"
    PRINCIPAL = "who asks, too"


class ServiceClient:
    """The typed face of one upstream. Methods are nouns of the answer; none of them sends anything by itself."""

    service: ClassVar[str]
    """The name of the upstream in the settings."""

    tells: ClassVar[Tells] = Tells.GATEWAY
    """Where the upstream is told who asks, equal calls of two principals never share an answer."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._tells = self.tells is Tells.PRINCIPAL  # because the hash of an Enum is worked out in Python

    def get(
        self,
        template: str,
        *,
        returns: type[T],
        query: Mapping[str, QueryValue] | None = None,
        rejection_names: str | None = None,
        hedged: bool = False,
        **values: str,
    ) -> Call[T]:
        """A call whose reply must fit ``returns``. ``values`` fill the template, each within its path segment.

        Where the upstream rejects what we send (400, 422), that is its failure; unless ``rejection_names`` the
        parameter that only it can judge, such as a cursor: then the client is told that this one is wrong. A ``hedged``
        call is attempted twice where the first attempt takes longer than most.

        Equal calls in flight share one answer: do not change what is in it.
        """
        model: Any = returns  # which mypy does not take for hashable; a cast costs as much as a call
        endpoint: Endpoint[T] = _endpoint("GET", template, model, rejection_names, hedged, self._tells)
        return Call(self.upstream, endpoint, endpoint.template.fill(values, query))

    def post(
        self, template: str, *, content: BaseModel, returns: type[T], idempotency_key: str | None = None, **values: str
    ) -> Call[T]:
        """A call that changes something. It is sent once; with an ``idempotency_key``, by which the upstream knows it
        again, it may be sent again after a failure. ``returns=type(None)`` is for a reply that nobody reads.
        """
        return self._change("POST", template, content, returns, idempotency_key, values)

    def ask(
        self,
        template: str,
        *,
        form: Mapping[str, str],
        authorization: SecretStr | None = None,
        returns: type[T],
        **values: str,
    ) -> Call[T]:
        """A question too secret for a target, where logs would have it: the fields of a form, sent with POST. It
        changes nothing, and may be sent again after a failure. ``authorization`` says who asks, in place of what the
        upstream would be told.
        """
        model: Any = returns
        endpoint: Endpoint[T] = _question(template, model, self._tells)
        return with_form(Call(self.upstream, endpoint, endpoint.template.fill(values)), form, authorization)

    def put(self, template: str, *, content: BaseModel, returns: type[T], **values: str) -> Call[T]:
        """A call that makes something so; sent twice, it is so all the same."""
        return self._change("PUT", template, content, returns, None, values)

    def delete(self, template: str, **values: str) -> Call[None]:
        """A call after which something is gone."""
        return self._change("DELETE", template, None, type(None), None, values)

    def _change(
        self,
        method: str,
        template: str,
        content: BaseModel | None,
        returns: type[T],
        key: str | None,
        values: Mapping[str, str],
    ) -> Call[T]:
        model: Any = returns
        endpoint: Endpoint[T] = _endpoint(method, template, model, None, False, self._tells)
        call = Call(self.upstream, endpoint, endpoint.template.fill(values))
        if content is not None:
            call.headers = ((b"content-type", b"application/json"),)
            call.body = content.__pydantic_serializer__.to_json(content)
        if key is not None and key.strip():  # by an empty one nothing is known again
            if not (key.isascii() and key.isprintable()):
                raise InvalidRequest(("idempotency-key", "holds what cannot be sent"))
            call.headers = (*call.headers, (b"idempotency-key", key.encode("ascii")))
        return call

    def download(
        self, template: str, *, media_type: str, if_none_match: str | None, **values: str
    ) -> Call[ReplyStream]:
        """A call whose reply of this ``media_type`` is handed on as it arrives."""
        endpoint = _download(template, media_type, self._tells)
        # servers hand on the white space around a value, and clients must not send it
        tag = (if_none_match or "").strip(" \t").encode("latin-1")
        call = Call(self.upstream, endpoint, endpoint.template.fill(values))
        if tag:
            call.headers = ((b"if-none-match", tag),)
        return call


def with_form(call: Call[T], form: Mapping[str, str], authorization: SecretStr | None = None) -> Call[T]:
    """The call, with the fields of a form as its body. ``authorization`` says who asks. Whether it may be sent again is
    for its endpoint to say: one of POST is sent once.
    """
    call.headers = ((b"content-type", b"application/x-www-form-urlencoded"),)
    if authorization is not None:
        call.headers = (*call.headers, (b"authorization", authorization.get_secret_value().encode("ascii")))
    call.body = urlencode(form).encode("ascii")
    return call


def in_bulk(form: str, *, by: str) -> Callable[[Callable[[C, str], Call[T]]], Callable[[C, str], Call[T]]]:
    """Calls of this method that are made in one turn of the loop, by whatever page, go out as one call of ``form``.

    ``form`` is the method of the same client that takes a list of what this one takes one of (at most 100), and answers
    a list. Its answers are told apart by their member ``by``; what is not among them is ``NotFound``. One that is alone
    goes by itself. Where one may have spoilt the call for the others, each half of them is asked for apart, and so on.
    """

    def declare(method: Callable[[C, str], Call[T]]) -> Callable[[C, str], Call[T]]:
        place = f"_gathering_{form}_by_{by}"

        @wraps(method)
        def call(self: C, one: str) -> Call[T]:
            made = method(self, one)
            gathering = vars(self).get(place)
            if gathering is None:
                gathering = vars(self)[place] = Gathering(getattr(self, form), attrgetter(by))
            made.gathering = (gathering, one)
            return made

        return call

    return declare


def services_of(clients: type[Any]) -> dict[str, type[ServiceClient]]:
    """The members of a dataclass of service clients, as a gateway declares it: name of the member and its client."""
    return get_type_hints(clients)


def connect(clients: type[T], upstreams: Mapping[str, Upstream]) -> T:
    """A dataclass of service clients, each on its upstream."""
    return clients(**{member: client(upstreams[client.service]) for member, client in services_of(clients).items()})


@cache
def _endpoint(
    method: str, template: str, returns: Any, rejection_names: str | None, hedged: bool, tells: bool
) -> Endpoint[Any]:
    return Endpoint(
        method,
        Template(template),
        returns,
        rejection_names=rejection_names,
        hedged=hedged,
        tells=tells,
    )


@cache
def _question(template: str, returns: Any, tells: bool) -> Endpoint[Any]:
    return Endpoint("POST", Template(template), returns, tells=tells, asks=True)


@cache
def _download(template: str, media_type: str, tells: bool) -> Download:
    return Download(Template(template), media_type, tells=tells)
