"""What a page asks for: one call of one upstream, typed, and not yet made."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextvars import copy_context
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import isinf
from time import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from bff_core.context import RequestContext, current
from bff_core.errors import BadReply, BadStatus, InvalidRequest, NotFound, Throttled
from bff_core.upstream.flight import Flight
from bff_core.upstream.template import Template
from bff_core.wire import Instance, Reply, ReplyStream, Request, Wire, header
from bff_core.wire.promise import Promise

if TYPE_CHECKING:
    from bff_core.upstream.upstream import Upstream

__all__ = ["Call", "Download", "Endpoint"]

T = TypeVar("T")

_REJECTED = frozenset({400, 422})
_THROTTLED = frozenset({408, 425, 429})
_DAY = 86_400.0


class Endpoint(Generic[T]):
    """One operation of an upstream, compiled once: its path template, and the model its reply must fit."""

    __slots__ = ("_json", "_rejection_names", "_validate", "method", "template")

    def __init__(self, method: str, template: Template, returns: Any, rejection_names: str | None = None) -> None:
        self.method = method
        self.template = template
        self._rejection_names = rejection_names
        self._json: object = None  # headers that were seen to say so
        # of pydantic's core, because its Python face costs a third of a microsecond more
        self._validate: Callable[[bytes], T] = TypeAdapter(returns).validator.validate_json

    def attempt(
        self,
        wire: Wire,
        instance: Instance,
        request: Request,
        *,
        until: float,
        deadline: float,  # noqa: ARG002  matters to what takes longer than its head
        max_body: int,
    ) -> Awaitable[Any]:
        """Send; the reply, whole before ``until``, for ``read``. ``deadline`` is that of the call."""
        return wire.send(instance, request, until=until, max_body=max_body)

    def read(self, instance: Instance, reply: Any) -> T:
        """The answer in a reply. One that does not fit is the upstream's failure, not a crash.

        Raises ``NotFound``, ``InvalidRequest`` or an ``UpstreamError``.
        """
        if reply.status != 200:
            if reply.status in _REJECTED and self._rejection_names:
                raise InvalidRequest((self._rejection_names, "is not valid"))
            _check(instance, reply.status, reply)
        if reply.headers is not self._json:  # wires give known headers as the same object
            if not _is_json(reply):
                raise BadReply(instance.upstream, f"{_media_type(reply)!r} instead of JSON")
            self._json = reply.headers
        try:
            return self._validate(reply.body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(step) for step in first["loc"])
            raise BadReply(instance.upstream, f"{self.template.text}: {place}: {first['msg']}") from None


class Download(Endpoint[ReplyStream]):
    """An operation whose reply is handed on as it arrives, unread; 304 is an answer too."""

    __slots__ = ("_media_type",)

    def __init__(self, template: Template, media_type: str) -> None:
        super().__init__("GET", template, bytes)
        self._media_type = media_type

    async def attempt(
        self, wire: Wire, instance: Instance, request: Request, *, until: float, deadline: float, max_body: int
    ) -> ReplyStream:
        """The head of the reply; whoever gets it closes it. Its body has until ``deadline``."""
        body_until = until if isinf(deadline) else deadline  # a client may read more slowly than a service answers
        stream = await wire.stream(instance, request, until=until, body_until=body_until, max_body=max_body)
        try:
            if stream.status != 304:
                _check(instance, stream.status, stream)
                self._check_media_type(instance, stream)
        except BaseException:
            await stream.close()
            raise
        return stream

    def read(self, instance: Instance, reply: Any) -> ReplyStream:  # noqa: ARG002
        """It, as it is."""
        found: ReplyStream = reply
        return found

    def _check_media_type(self, instance: Instance, stream: ReplyStream) -> None:
        # what is handed on unread is believed by a browser, so it must be what it is said to be
        if (found := _media_type(stream)) != self._media_type:
            raise BadReply(instance.upstream, f"{found!r} instead of {self._media_type!r}")


def _is_json(reply: Reply) -> bool:
    for name, value in reply.headers:
        if name == b"content-type":
            if value == b"application/json":  # which is what most say
                return True
            break
    found = _media_type(reply)
    return found == "application/json" or found.endswith("+json")


def _media_type(reply: Reply | ReplyStream) -> str:
    return (header(reply.headers, b"content-type") or "").partition(";")[0].strip().lower()


def _check(instance: Instance, status: int, reply: Reply | ReplyStream) -> None:
    if 200 <= status < 300:
        return
    if status == 404:
        raise NotFound(f"{instance.upstream} knows nothing by that name")
    if status in _THROTTLED:
        raise Throttled(instance.upstream, status, _retry_after(header(reply.headers, b"retry-after")))
    raise BadStatus(instance.upstream, status)


def _retry_after(value: str | None) -> float | None:
    # RFC 9110, 10.2.3: seconds, or a date
    if value is None:
        return None
    try:
        digits = value.isascii() and value.isdigit()
        seconds = float(value) if digits else parsedate_to_datetime(value).timestamp() - time()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), _DAY)


@dataclass(slots=True, eq=False)  # not frozen, because that makes making one three times as slow
class Call(Generic[T]):
    """One call, ready to be made: awaiting it makes it, within the deadline of the current request."""

    upstream: "Upstream"
    endpoint: Endpoint[T]
    target: str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def flight(self, context: RequestContext, until: float, passenger: Callable[[Flight[T]], None]) -> Flight[T]:
        """The call as it will be made, for the request ``context``, which may leave it only until ``until``.

        ``passenger`` is told when it is over.
        """
        return Flight(self.upstream.answer(self, context, until), copy_context(), passenger)

    def __await__(self) -> Generator[Any, None, T]:
        context = current()
        flight = self.flight(context, context.until, lambda _: arrival.keep(None))  # noqa: F821  it is, until the end
        arrival: Promise[None] = Promise(asyncio.get_running_loop(), flight.cancel)
        flight.start()
        yield from arrival.__await__()
        try:
            return flight.result()
        finally:
            del flight, arrival  # or what is raised knows them, and they know it
