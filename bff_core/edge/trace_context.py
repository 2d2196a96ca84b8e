"""What of a client's request lets its trace be followed, and so goes to all upstreams.

W3C Trace Context, level 1, and W3C Baggage. It is handed on and not taken part in, so the parent stays that of the
client. What does not fit is left out: whoever reads it next might be less strict than we are.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

__all__ = ["trace_context"]

Header = tuple[bytes, bytes]

_SPACE: Final = b" \t"  # optional, RFC 9110, 5.6.3

_BEGINS: Final = frozenset({b"traceparent", b"baggage"})  # and tracestate, which is nothing by itself

_PARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_LATER: Final = b"00-%b-%b-%02x"
_SAMPLED: Final = 1

_KEY: Final = rb"[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}"
_ENTRY: Final = re.compile(rb"(" + _KEY + rb")=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_MOST_ENTRIES: Final = 32
_LONG_ENTRY: Final = 128  # characters; such entries go first where all are too long
_LONGEST_STATE: Final = 512

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE: Final = rb"[ \t]*=[ \t]*[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_MEMBER: Final = re.compile(_TOKEN + _VALUE + rb"([ \t]*;[ \t]*" + _TOKEN + rb"(" + _VALUE + rb")?)*")
_MOST_MEMBERS: Final = 64
_LONGEST_BAGGAGE: Final = 8192  # bytes


def trace_context(headers: Sequence[Header], baggage: Collection[bytes]) -> tuple[Header, ...]:
    """``traceparent``, ``tracestate``, and of ``baggage`` the members of these keys, as far as they are there."""
    for name, _ in headers:
        if name in _BEGINS:
            return _read(headers, baggage)
    return ()


def _read(headers: Iterable[Header], keys: Collection[bytes]) -> tuple[Header, ...]:
    values: dict[bytes, list[bytes]] = {b"traceparent": [], b"tracestate": [], b"baggage": []}
    for name, value in headers:
        if name in values:
            values[name].append(value)
    parent = _parent(values[b"traceparent"])
    state = _state(_members(values[b"tracestate"])) if parent else b""
    found = (
        (b"traceparent", parent),
        (b"tracestate", state),
        (b"baggage", _baggage(_members(values[b"baggage"]), keys)),
    )
    return tuple((name, value) for name, value in found if value)


def _members(lines: Iterable[bytes]) -> list[bytes]:
    return [member for line in lines for part in line.split(b",") if (member := part.strip(_SPACE))]


def _parent(values: Sequence[bytes]) -> bytes:
    """Trace Context, 3.2. That of a later version is written as one of this, as far as this knows it (3.2.4)."""
    match = _PARENT.fullmatch(values[0].strip(_SPACE)) if len(values) == 1 else None
    if match is None:
        return b""
    version, trace, parent, flags, more = match.groups()
    if version == b"ff" or not trace.strip(b"0") or not parent.strip(b"0"):
        return b""
    if version == b"00":
        return b"" if more else match[0]
    return _LATER % (trace, parent, int(flags, 16) & _SAMPLED)


def _state(entries: list[bytes]) -> bytes:
    """Trace Context, 3.3; none of it, where one entry is wrong. Where it is too long, the long entries go first."""
    if len(entries) > _MOST_ENTRIES:
        return b""
    keys = {match[1] for entry in entries if (match := _ENTRY.fullmatch(entry))}
    if len(keys) < len(entries):  # one is no entry, or is there twice
        return b""
    if len(b",".join(entries)) > _LONGEST_STATE:
        entries = [entry for entry in entries if len(entry) <= _LONG_ENTRY]
    return _cut(entries, _LONGEST_STATE)


def _baggage(members: Iterable[bytes], keys: Collection[bytes]) -> bytes:
    allowed = [one for one in members if one.partition(b"=")[0].strip(_SPACE) in keys and _MEMBER.fullmatch(one)]
    return _cut(allowed[:_MOST_MEMBERS], _LONGEST_BAGGAGE)


def _cut(members: list[bytes], longest: int) -> bytes:
    """As many of the first as fit."""
    while len(joined := b",".join(members)) > longest:
        members = members[:-1]
    return joined
