"""What one call meets: drawn from a seed and the call's number, by both sides alike, so that neither is told."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

__all__ = ["FAULTS", "Answer", "Fault", "Lot", "Manner", "Question", "content", "draw"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, with how many of a thousand calls, and how such a call may end."""

    share: int
    ends: frozenset[str]
    partly: bool = False
    """Who reads only the beginning of the reply may never notice."""

    in_body: bool = False
    """It needs a reply with a body."""

    in_source: bool = False
    """It needs a request whose body comes piece by piece."""


def _ends(*names: str) -> frozenset[str]:
    return frozenset(names)


FAULTS = {
    "none": Fault(850, _ends("reply"), partly=True),
    "reset": Fault(20, _ends("Unreachable"), partly=True),
    "cut": Fault(20, _ends("Unreachable"), partly=True),
    "silence": Fault(15, _ends("TimedOut"), partly=True),
    "nonsense": Fault(20, _ends("BadReply")),
    "corrupt": Fault(8, _ends("BadReply"), partly=True, in_body=True),
    "too long": Fault(10, _ends("BadReply"), partly=True, in_body=True),
    "second reply": Fault(15, _ends("BadReply", "reply"), partly=True),
    "early reply": Fault(12, _ends("reply"), partly=True, in_source=True),
    "source breaks": Fault(6, _ends("SourceBroke"), in_source=True),
    "source too short": Fault(6, _ends("ValueError"), in_source=True),
    "source too long": Fault(6, _ends("ValueError"), in_source=True),
    "source hangs": Fault(6, _ends("TooLate", "TimedOut"), in_source=True),
    "refused": Fault(6, _ends("Unreachable")),
}
"""One at a time. Beside each of these, any call may be left by its caller, or given too little time."""

_NEVER_WHOLE = {"source breaks", "source too short", "source too long", "source hangs"}
_IN_TIME_ONLY = {"silence", "source hangs"}  # these end with their moment, so that it must come soon
_ABRUPT = {"reset", "cut", "second reply"}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. ``body`` is how it goes out, ``size`` how long it is, ``pause`` lies between two pieces."""

    place: str
    method: str
    body: str
    size: int
    pause: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered. ``named``: the head has the number of the call, and is like no other."""

    status: int
    named: bool
    framing: str
    coding: str
    size: int
    interim: int
    pieces: int
    pause: float | None
    cut: float
    """Where the fault strikes: a share of what is sent."""

    ending: str

    @property
    def bodiless(self) -> bool:
        """By its status."""
        return self.status in {204, 304}


@dataclass(frozen=True, slots=True)
class Manner:
    """How the caller takes it. ``time`` is how long the call has, ``body_time`` the body of a stream beside that."""

    how: str
    flies: bool
    pause: float | None
    time: float | None
    body_time: float | None
    leaves: float | int | None
    """After so many seconds, or turns of the loop."""


@dataclass(frozen=True, slots=True)
class Lot:
    """Everything about one call."""

    number: int
    fault: str
    question: Question
    answer: Answer
    manner: Manner

    @property
    def piecewise(self) -> bool:
        """The request's body comes piece by piece."""
        return self.question.body in {"sized", "chunked"}

    @property
    def completes(self) -> bool:
        """The request may arrive whole."""
        return self.fault not in _NEVER_WHOLE

    @property
    def body(self) -> bytes:
        """What the caller gets."""
        if self.answer.bodiless or self.question.method == "HEAD":
            return b""
        return content(self.number, self.answer.size)

    def may_end(self, *, crowded: bool) -> set[str]:
        """How. A ``reply`` is whole and the one that was meant, a ``part`` the beginning of that one."""
        fault = FAULTS[self.fault]
        ends = set(fault.ends)
        if fault.partly and self.manner.how in {"skim", "unread"}:
            ends.add("part")
        if self.piecewise or self.question.method == "POST" or self.manner.how != "send":
            ends.add("StaleConnection")  # it is never sent again
        if self.manner.time is not None or self.manner.body_time is not None:
            ends |= {"TimedOut", "TooLate"} if self.piecewise else {"TimedOut"}
        if self.manner.leaves is not None:
            ends.add("left")
        if crowded:
            ends.add("Busy")
        return ends


def content(number: int, size: int) -> bytes:
    """So many bytes that belong to this call, and to no other."""
    mark = b"%d;" % number
    return (mark * (size // len(mark) + 1))[:size]


def _shared(shares: Iterable[tuple[T, int]]) -> tuple[T, ...]:
    # a table to look into, because random.choices adds the weights up anew each time
    return tuple(what for what, share in shares for _ in range(share))


_FAULTS = _shared((name, fault.share) for name, fault in FAULTS.items())
_PLACES = _shared([("tcp", 80), ("unix", 14), ("tls", 6)])
_BODIES = _shared([("none", 84), ("bytes", 10), ("sized", 3), ("chunked", 3)])
_ASKING = _shared([("GET", 90), ("HEAD", 6), ("DELETE", 4)])
_SENDING = ("POST", "PUT")
_UPLOADS = _shared([(10, 10), (1_000, 10), (30_000, 5), (400_000, 1)])
_STATUSES = _shared([(200, 94), (404, 2), (503, 2), (204, 1), (304, 1)])
_FRAMINGS = _shared([("length", 14), ("chunked", 5), ("close", 1)])
_CODINGS = _shared([("", 16), ("gzip", 3), ("zstd", 1)])
_SIZES = _shared([(100, 30), (500, 30), (2_000, 30), (20_000, 8), (200_000, 1)])
_INTERIM = _shared([(0, 18), (1, 1), (3, 1)])
_PIECES = _shared([(1, 12), (2, 3), (5, 2)])
_PAUSES = _shared([(None, 3), (0.0, 3), (0.002, 1)])
_ENDINGS = _shared([("kept", 30), ("said", 2), ("closed", 1), ("closed later", 1)])
_HOW = _shared([("send", 14), ("read", 4), ("skim", 1), ("unread", 1)])


def draw(seed: int, number: int) -> Lot:
    """The lot of call ``number``."""
    random = Random(f"{seed}/{number}")
    name = random.choice(_FAULTS)
    question = _question(random, name)
    answer = _answer(random, name, question)
    return Lot(number, name, question, answer, _manner(random, name, question))


def _question(random: Random, fault: str) -> Question:
    place = "nowhere" if fault == "refused" else random.choice(_PLACES)
    body = random.choice(_BODIES)
    if fault in {"source too short", "source too long"}:
        body = "sized"
    elif FAULTS[fault].in_source:
        body = random.choice(("sized", "chunked"))
    method = random.choice(_SENDING if body != "none" else _ASKING)
    if method == "HEAD" and FAULTS[fault].in_body:
        method = "GET"
    size = 0 if body == "none" else random.choice(_UPLOADS)
    return Question(place, method, body, size, random.choice(_PAUSES))


def _answer(random: Random, fault: str, question: Question) -> Answer:
    status = 200 if FAULTS[fault].in_body else random.choice(_STATUSES)
    framing = random.choice(_FRAMINGS)
    size, pieces = random.choice(_SIZES), random.choice(_PIECES)
    ending = random.choice(_ENDINGS)
    if fault in _ABRUPT:
        framing = framing.replace("close", "length")  # or it would be the end of the reply
    if fault == "early reply":
        framing, ending = framing.replace("close", "chunked"), "kept"  # or what is on its way yet may reset the reply
    if fault == "second reply":
        # both in one write, because what comes later cannot be told from the reply to what is asked next
        size, pieces = min(size, 2_000), 1
    coding = "" if size > 60_000 else random.choice(_CODINGS)  # what repeats itself so often expands too much
    if fault == "corrupt":
        coding = "gzip"
    if framing == "close":
        ending = "closed"
    nothing_else = status in {204, 304} or question.method == "HEAD"
    named = nothing_else or random.random() < 0.2
    interim, pause, cut = random.choice(_INTERIM), random.choice(_PAUSES), random.random()
    return Answer(status, named, framing, coding, size, interim, pieces, pause, cut, ending)


def _manner(random: Random, fault: str, question: Question) -> Manner:
    how, pause = random.choice(_HOW), random.choice(_PAUSES)
    time = body_time = leaves = None
    if fault in _IN_TIME_ONLY:
        time = random.uniform(0.005, 0.04)
    elif random.random() < 0.04:
        time = random.uniform(0, 0.02)
    elif how != "send" and random.random() < 0.1:
        body_time = random.uniform(0, 0.02)
    if random.random() < 0.08:
        leaves = random.choice((random.randrange(15), random.uniform(0, 0.006)))
    return Manner(how, random.random() < 0.5, pause, time, body_time, leaves)
