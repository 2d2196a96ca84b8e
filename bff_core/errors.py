"""What can go wrong, and what each error means to a client.

Every *expected* failure is a ``GatewayError``. It knows two things about itself: the status and type of the
problem document that a client gets when it ends a request, and the ``reason`` that a page's completeness shows
when it only costs the page a part. Any other exception is a bug: it fails loudly and is never called "degraded".
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar, Self

__all__ = [
    "AtCapacity",
    "BadReply",
    "BadStatus",
    "Busy",
    "CircuitOpen",
    "ContentTooLarge",
    "CrossSite",
    "DeadlinePassed",
    "Forbidden",
    "GatewayError",
    "GrantRefused",
    "HeadersTooLarge",
    "IdentityUnavailable",
    "InvalidRequest",
    "KeyInUrl",
    "LoginFailed",
    "MalformedRequest",
    "MethodNotAllowed",
    "MisdirectedRequest",
    "MissingScope",
    "NoInstance",
    "NotFound",
    "Reason",
    "ShownTwice",
    "StaleConnection",
    "TargetTooLong",
    "Throttled",
    "TimedOut",
    "TooLate",
    "Unauthenticated",
    "Unreachable",
    "UnsupportedMediaType",
    "UpstreamError",
]


class Reason(StrEnum):
    """Why a part of a page is not there, in the words that clients see."""

    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    CIRCUIT = "circuit"
    BUSY = "busy"
    DEADLINE = "deadline"
    INVALID = "invalid"
    NOT_FOUND = "not-found"
    FORBIDDEN = "forbidden"
    SKIPPED = "skipped"


class GatewayError(Exception):
    """An expected failure. ``title`` is for clients; the message of the exception is for our log alone."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side."
    reason: ClassVar[Reason] = Reason.UNAVAILABLE

    retry_after: float | None = None
    """Seconds after which it is worth asking again."""

    def copy(self) -> Self:
        """The same failure for someone else: what is raised in two places would mix up where it came from."""
        other = type(self).__new__(type(self))
        other.args = self.args
        other.__dict__.update(self.__dict__)
        return other


# What the client sent


class InvalidRequest(GatewayError):
    """The request does not validate. ``fields`` names each place and what is wrong there, in that order."""

    status = 422
    kind = "invalid-request"
    title = "The request is not valid."
    reason = Reason.INVALID

    def __init__(self, *fields: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{place}: {wrong}" for place, wrong in fields))
        self.fields = fields


class MalformedRequest(GatewayError):
    """The request cannot be read at all: no JSON where JSON was promised, a bad ``Host``."""

    status = 400
    kind = "invalid-request"
    title = "The request is malformed."
    reason = Reason.INVALID


class KeyInUrl(MalformedRequest):
    """A key or a token is in the URL, which proxies, histories and logs keep (RFC 6750, 5.3)."""

    title = "A key or token was sent in the URL, where others read it. Send it in a header, and have it replaced."


class ShownTwice(MalformedRequest):
    """Two keys, two tokens, or one of each: whoever reads another one believes another client (RFC 6750, 2)."""

    title = "Show one key or one token, once: in Authorization, or in X-API-Key."


class MisdirectedRequest(GatewayError):
    """The ``Host`` is not one of ours (RFC 9110, 15.5.20)."""

    status = 421
    kind = "misdirected-request"
    title = "This server does not answer for that host."


class UnsupportedMediaType(GatewayError):
    status = 415
    kind = "invalid-request"
    title = "The media type of the request is not supported."


class MethodNotAllowed(GatewayError):
    """``allow`` is the list of methods that are (RFC 9110, 10.2.1)."""

    status = 405
    kind = "method-not-allowed"
    title = "This resource does not support that method."

    def __init__(self, allow: str) -> None:
        super().__init__(f"only {allow}")
        self.allow = allow


class ContentTooLarge(GatewayError):
    status = 413
    kind = "too-large"
    title = "The body of the request is too large."


class TargetTooLong(GatewayError):
    status = 414
    kind = "too-large"
    title = "The target of the request is too long."


class HeadersTooLarge(GatewayError):
    status = 431
    kind = "too-large"
    title = "The headers of the request are too large."


class AtCapacity(GatewayError):
    """As many requests are in flight as may be; one more would make all of them slower."""

    status = 503
    kind = "temporary-reduced-capacity"
    title = "There is too much to do just now. Please try again soon."
    retry_after = 1.0


class Unauthenticated(GatewayError):
    """Who asks is not known, and must be. ``challenges`` say how to prove it (RFC 9110, 11.6.1)."""

    status = 401
    kind = "unauthenticated"
    title = "Who you are must be known for this, and is not."
    reason = Reason.FORBIDDEN

    def __init__(self, *challenges: str, detail: str) -> None:
        super().__init__(detail)
        self.challenges = challenges


class IdentityUnavailable(GatewayError):
    """Who asks could not be found out, because nobody can say just now."""

    status = 503
    kind = "temporary-reduced-capacity"
    title = "Who you are cannot be found out just now. Please try again soon."
    retry_after = 1.0


class Forbidden(GatewayError):
    status = 403
    kind = "forbidden"
    title = "This is not allowed."
    reason = Reason.FORBIDDEN


class GrantRefused(Forbidden):
    """The provider that somebody logs in with has answered, and the answer is no. ``code`` is OAuth's (RFC 6749, 5.2).

    Everything but ``invalid_grant`` says that something is wrong with us, such as ``invalid_client`` with our secret,
    and nothing of who is logged in.
    """

    title = "You could not be logged in. Please try again."

    def __init__(self, code: str) -> None:
        super().__init__(f"the provider refuses it: {code}")
        self.code = code


class MissingScope(Forbidden):
    """Who asks is known, and has not all of ``scopes``. ``challenges`` are those that somebody unknown gets; what
    becomes of them tells who bears a token which scopes it needs (RFC 6750, 3.1).
    """

    def __init__(self, *scopes: str, challenges: Sequence[str] = ()) -> None:
        needed = " ".join(scopes)
        super().__init__(f"needs {needed}")
        said = f'error="insufficient_scope", scope="{needed}"'
        self.challenges = tuple([f"{one}, {said}" for one in challenges if one.startswith("Bearer ")])


class CrossSite(Forbidden):
    """A browser was made to send it by another site, or nothing says that it was not."""

    kind = "cross-site-request"
    title = "This was not sent from a page of ours, and was not done."


class LoginFailed(GatewayError):
    """Somebody came back from logging in, and it is not known who it is."""

    status = 400
    kind = "login-failed"
    title = "Logging in has not worked. Please begin again."
    reason = Reason.FORBIDDEN


class NotFound(GatewayError):
    status = 404
    kind = "not-found"
    title = "There is nothing here by that name."
    reason = Reason.NOT_FOUND


# Time


class TooLate(GatewayError):
    """It was under way, and its time is over."""

    status = 504
    kind = "timeout"
    title = "The answer did not come in time."
    reason = Reason.TIMEOUT


class DeadlinePassed(TooLate):
    """No time is left for what was asked; nothing was sent."""

    reason = Reason.DEADLINE


# What an upstream did


class UpstreamError(GatewayError):
    """A call was made, and the upstream did not keep its side. ``upstream`` is for our log, never for a client."""

    status = 502
    kind = "bad-upstream"
    title = "A service behind this gateway did not answer as it should."

    def __init__(self, upstream: str, detail: str) -> None:
        super().__init__(f"{upstream}: {detail}")
        self.upstream = upstream
        self.detail = detail


class Unreachable(UpstreamError):
    """No connection, or one that ended before the whole reply was there."""


class StaleConnection(Unreachable):
    """A kept connection was closed by the peer before it saw the request."""


class BadStatus(UpstreamError):
    """The upstream answered with a status that is no answer."""

    def __init__(self, upstream: str, upstream_status: int, retry_after: float | None = None) -> None:
        super().__init__(upstream, f"answered {upstream_status}")
        self.upstream_status = upstream_status
        self.retry_after = retry_after


class BadReply(UpstreamError):
    """The reply does not parse, does not fit its model, or is beyond a limit."""

    reason = Reason.INVALID


class TimedOut(UpstreamError):
    """One attempt took longer than its timeout."""

    status = 504
    kind = "timeout"
    title = "The answer did not come in time."
    reason = Reason.TIMEOUT


class Throttled(UpstreamError):
    """The upstream asks to be left alone for a while (408, 425, 429)."""

    status = 503
    kind = "temporary-reduced-capacity"
    title = "There is too much to do just now. Please try again soon."
    reason = Reason.BUSY

    def __init__(self, upstream: str, upstream_status: int, retry_after: float | None) -> None:
        super().__init__(upstream, f"answered {upstream_status}")
        self.upstream_status = upstream_status
        self.retry_after = retry_after


class Busy(UpstreamError):
    """We refused the call ourselves, because too many are under way."""

    status = 503
    kind = "temporary-reduced-capacity"
    title = "There is too much to do just now. Please try again soon."
    reason = Reason.BUSY
    retry_after = 1.0


class NoInstance(UpstreamError):
    """We refused the call ourselves, because nobody knows where the upstream is."""

    status = 503
    kind = "temporary-reduced-capacity"
    title = "There is too much to do just now. Please try again soon."
    retry_after = 1.0


class CircuitOpen(UpstreamError):
    """We refused the call ourselves, because the upstream fails and is left alone for a while."""

    status = 503
    kind = "temporary-reduced-capacity"
    title = "There is too much to do just now. Please try again soon."
    reason = Reason.CIRCUIT

    def __init__(self, upstream: str, retry_after: float) -> None:
        super().__init__(upstream, "its circuit is open")
        self.retry_after = retry_after
