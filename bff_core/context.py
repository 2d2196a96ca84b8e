"""What is known about the request being answered: one object in one ContextVar.

The front door makes it, a composition narrows its deadline for each part, and every call finds it without being
handed it. Moments are seconds of the running loop's clock, so that virtual time in tests is the same time.
"""

from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from math import inf
from typing import Any

from bff_core.errors import GatewayError
from bff_core.principal import Principal

__all__ = ["RequestContext", "current", "enter", "leave"]


@dataclass(slots=True)
class RequestContext:
    """One request: its id, when it must be answered, what the client wants, and how its pages turned out.

    ``wanted`` names the parts the client asked for; ``None`` is all of them. ``outcomes`` maps part names to
    RFC 9651 parameters as completeness writes them; the front door turns them into ``Page-Parts``.
    """

    request_id: str = ""
    started: float = 0.0
    until: float = inf
    wanted: frozenset[str] | None = None
    outcomes: dict[str, str] = field(default_factory=dict)
    principal: Principal | None = None
    """Who asks, where that is known. For upstreams that are told, equal calls of two of them are two calls."""

    challenges: tuple[str, ...] = ()
    """How one can prove here who one is, as ``WWW-Authenticate`` says it."""

    session: Any = None
    """The session of a browser, where the request is part of one."""

    form_token: str = ""
    """What a form of this browser needs, where it shows the cookie of a session, live or not."""

    unsure: GatewayError | None = None
    """Why it could not be found out who asks, where that is so."""

    for_anybody: bool = False
    """What is answered is the same whoever asks, and caches that many share may keep it."""

    trace: tuple[tuple[bytes, bytes], ...] = ()
    """Headers of the client that go to all upstreams, so that what is done for it can be followed."""

    told: Any = None
    """What upstreams are told of it, as whoever tells them wrote it down; the same for all of them."""

    def narrowed(self, started: float, until: float) -> "RequestContext":
        """The same request as a part of its page sees it: begun at ``started``, due by ``until``, and a composition
        inside it is its own.
        """
        return RequestContext(
            self.request_id,
            started,
            min(self.until, until),
            principal=self.principal,
            challenges=self.challenges,
            session=self.session,
            form_token=self.form_token,
            unsure=self.unsure,
            trace=self.trace,
            told=self.told,
        )


_current: ContextVar[RequestContext] = ContextVar("request")


def current() -> RequestContext:
    """The request being answered here, or a new one without limits where there is none."""
    return _current.get(None) or RequestContext()


def enter(context: RequestContext) -> Token[RequestContext]:
    """Make this the current request until ``leave``."""
    return _current.set(context)


def leave(token: Token[RequestContext]) -> None:
    """Back to what was current before ``enter``."""
    _current.reset(token)
