"""What kinds of calls a service client makes, as far as the code of its methods tells.

Nothing is called for that: which names a method's code uses is part of the code. A call that is made somewhere else, in
a function of its module say, is not seen; so whoever asks should doubt only what was seen.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from inspect import isfunction, unwrap
from types import CodeType
from typing import Any, Final

from bff_core.services.client import ServiceClient, services_of

__all__ = ["Calls", "calls_of", "look"]

_SAFE: Final = {"get", "put", "delete", "download"}


@dataclass(frozen=True, slots=True)
class Calls:
    """Of one upstream. By default what can be said without a look: nothing."""

    unsafe_alone: bool = False
    """It makes calls, and none of them may be sent twice for its method's sake."""

    hedged: bool = False
    """A call asks for a hedge."""


def calls_of(clients: type[Any]) -> Mapping[str, Calls]:
    """By the name of the upstream, for a dataclass of service clients."""
    found: dict[str, list[type[ServiceClient]]] = {}
    for client in services_of(clients).values():
        found.setdefault(client.service, []).append(client)
    return {service: look(faces) for service, faces in found.items()}


def look(clients: Iterable[type[ServiceClient]]) -> Calls:
    """The calls that these clients of one upstream make."""
    names: set[str] = set()
    keywords: set[Any] = set()
    for code in (code for client in clients for code in _codes(client)):
        names.update(code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, tuple):  # the names of keyword arguments are one
                keywords.update(constant)
    return Calls(unsafe_alone="post" in names and not names & _SAFE, hedged="hedged" in keywords)


def _codes(client: type[ServiceClient]) -> Iterator[CodeType]:
    for owner in client.__mro__:
        if owner is ServiceClient:
            return
        for member in vars(owner).values():
            if isfunction(member):
                yield from _within(unwrap(member).__code__)


def _within(code: CodeType) -> Iterator[CodeType]:
    """It, and what is defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _within(constant)
