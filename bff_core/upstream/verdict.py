"""How an attempt counts, and whether it may be repeated: decided here, once, for everyone who asks."""

from enum import Enum

from bff_core.errors import (
    BadReply,
    BadStatus,
    InvalidRequest,
    NotFound,
    Throttled,
    TimedOut,
    Unreachable,
)

__all__ = ["Verdict", "judge"]

_UNAVAILABLE = frozenset({502, 503, 504})


class Verdict(Enum):
    """What an attempt says about its upstream (how it counts), and whether a safe call may be sent again."""

    SUCCESS = ("success", False)
    FAILURE = ("failure", True)
    LASTING = ("failure", False)
    """A failure that another attempt would only repeat."""
    THROTTLED = ("neither", True)
    OURS = ("ours", False)
    """We refused or stopped it ourselves; it says nothing about the upstream."""

    __hash__ = object.__hash__  # each is one object; the hash of its name is worked out in Python every time

    def __init__(self, counts_as: str, repeatable: bool) -> None:
        self.counts_as = counts_as
        self.counts = counts_as in {"success", "failure"}
        self.repeatable = repeatable


def judge(error: BaseException) -> Verdict:
    """The verdict on an attempt that ended with ``error``."""
    match error:
        case NotFound() | InvalidRequest():
            return Verdict.SUCCESS
        case Throttled():
            return Verdict.THROTTLED
        case Unreachable() | TimedOut():
            return Verdict.FAILURE
        case BadStatus(upstream_status=status) if status in _UNAVAILABLE:
            return Verdict.FAILURE
        case BadStatus(upstream_status=status) if status < 500:
            return Verdict.SUCCESS
        case BadStatus() | BadReply():
            return Verdict.LASTING
        case _:
            return Verdict.OURS
