"""What a page asks for: one call of one upstream, typed, and not yet made."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from email.utils import parsedate_to_datetime
from math import isinf
from time import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from bff_core.context import RequestContext, current
from bff_core.errors import BadReply, BadStatus, InvalidRequest, NotFound, Throttled, TooLate
from bff_core.upstream.flight import Flight, Passenger
from bff_core.upstream.template import Template
from bff_core.wire import Instance, Reply, ReplyStream, Request, Wire, header
from bff_core.wire.promise import Promise

if TYPE_CHECKING:
    from bff_core.upstream.bulk import Gathering
    from bff_core.upstream.upstream import Upstream

__all__ = ["Call", "Download", "Endpoint"]

T = TypeVar("T")

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_REPEATABLE = _READING | {"PUT", "DELETE"}
_REJECTED = frozenset({400, 422})
_THROTTLED = frozenset({408, 425, 429})
_ASKING = _THROTTLED | {503}  # for time (RFC 9110, 10.2.3)
_DAY = 86_400.0


class Endpoint(Generic[T]):
    """One operation of an upstream, compiled once: its path template, and the model its reply must fit."""

    __slots__ = (
        "_json",
        "_rejection_names",
        "_unread",
        "_validate",
        "hedged",
        "method",
        "reading",
        "safe",
        "shared",
        "tells",
        "template",
    )

    def __init__(
        self,
        method: str,
        template: Template,
        returns: Any,
        *,
        rejection_names: str | None = None,
        hedged: bool = False,
        tells: bool = False,
        asks: bool = False,
    ) -> None:
        self.method = method
        self.template = template
        self.safe = asks or method in _REPEATABLE
        self.reading = asks or method in _READING
        """Nothing is changed by it. One that ``asks`` says so of a method that does not."""
        self.shared = method in _READING
        """Equal calls may have one answer."""
        self.hedged = hedged
        self.tells = tells
        """The upstream is told who asks."""
        self._rejection_names = rejection_names
        self._json: object = None  # headers that were seen to say so
        # of pydantic's core, because its Python face costs a third of a microsecond more
        self._validate: Callable[[bytes], T] = TypeAdapter(returns).validator.validate_json
        self._unread = returns is type(None)

    def attempt(
        self,
        wire: Wire,
        instance: Instance,
        request: Request,
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
        if self._unread:
            return cast("T", None)
        if reply.headers is not self._json:  # wires give known headers as the same object
            if not _is_json(reply):
                raise BadReply(instance.upstream, f"{_media_type(reply)!r} instead of JSON")
            self._json = reply.headers
        try:
            return self._validate(reply.body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            wrong = f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}"
        # out here, because an error remembers the one it was raised in, that its frames, and those the flight
        raise BadReply(instance.upstream, f"{self.template.text}: {wrong}")


class Download(Endpoint[ReplyStream]):
    """An operation whose reply is handed on as it arrives, unread; 304 is an answer too."""

    __slots__ = ("_media_type",)

    def __init__(self, template: Template, media_type: str, *, tells: bool = False) -> None:
        super().__init__("GET", template, bytes, tells=tells)
        self.shared = False  # it is read once, at the pace of one client
        self._media_type = media_type

    async def attempt(
        self, wire: Wire, instance: Instance, request: Request, until: float, deadline: float, max_body: int
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
    asked_for = _retry_after(header(reply.headers, b"retry-after")) if status in _ASKING else None
    if status in _THROTTLED:
        raise Throttled(instance.upstream, status, asked_for)
    raise BadStatus(instance.upstream, status, asked_for)


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


class Call(Generic[T]):
    """One call, ready to be made: awaiting it makes it, within the deadline of the current request."""

    # on the class, because one is made for each call, and most of it stays as it is
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    gathering: "tuple[Gathering[T], str] | None" = None
    """Where it may be answered together with others, and the name of what it asks for."""

    def __init__(self, upstream: "Upstream", endpoint: Endpoint[T], target: str) -> None:
        self.upstream = upstream
        self.endpoint = endpoint
        self.target = target

    @property
    def repeatable(self) -> bool:
        """It may be sent twice: its method says so, or a key by which the upstream knows it again."""
        return self.endpoint.safe or any(name == b"idempotency-key" for name, _ in self.headers)

    def fly(self, context: RequestContext, until: float, passenger: Passenger, clock: Callable[[], float]) -> Flight[T]:
        """Make it for the request ``context``, or board an equal call. ``passenger``, who waits at most ``until``,
        hears of its end, perhaps before this returns. ``clock`` is that of the running loop.
        """
        return self.upstream.fly(self, context, until, passenger, clock)

    def __await__(self) -> Generator[Any, None, T]:
        context = current()
        waiter: _Waiter[T] = _Waiter(asyncio.get_running_loop())
        try:
            waiter.wait_for(self, context)
            yield from waiter.__await__()
            return waiter.value()
        except asyncio.CancelledError:
            if waiter.kept and isinstance(self.endpoint, Download):  # in this very turn, and nobody else knows of it
                stream: Any = waiter.value()
                yield from stream.close().__await__()
            raise
        finally:
            waiter.forget()
            del waiter  # or what is raised knows it, and it knows that


class _Waiter(Promise[T]):
    """Whoever awaits a call outside of a page. It gives up at the deadline of its request."""

    _flight: Flight[T] | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:  # not that of a promise, because nobody gives it words
        self.loop = loop

    def wait_for(self, call: Call[T], context: RequestContext) -> None:
        """Make the call."""
        upstream, until = call.upstream, context.until
        flight = upstream.fly(call, context, until, self, self.loop.time)
        if not self.done:
            self._flight = flight
            upstream.moments(self.loop).at(until, self._too_late)

    def value(self) -> T:
        """What was brought."""
        return self._value

    def forget(self) -> None:
        """What it came to; for the deadline, which may be far away, keeps this."""
        self._error = None
        self.__dict__.pop("_value", None)

    def landed(self, flight: Flight[T]) -> None:
        """See ``flight.Passenger``."""
        self._flight = None
        if flight.error is None:
            self.keep(flight.value)
        else:
            self.break_(flight.error)

    def _too_late(self) -> None:
        self.give_up(TooLate("a call was not answered before the deadline of its request"))

    def _given_up(self) -> None:
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.leave(self)
