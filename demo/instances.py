"""Instances of the services: how many of each, what they are called, and where they listen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from demo.services import FIRST_PORT, SERVICES

MOST = 10  # of one service, so that 7001 and up to nine times 100 above it stay clear of the gateways' ports
_APART = 100  # ports between two instances of a service


@dataclass(frozen=True, slots=True)
class Instance:
    """One of a service. What it shares with the others is the database, and nothing else."""

    service: str
    number: int = 1

    def __str__(self) -> str:
        """``catalog``, and the others ``catalog-2``, ``catalog-3``."""
        return self.service if self.number == 1 else f"{self.service}-{self.number}"


def instances(services: Sequence[str], wanted: Iterable[str] = ()) -> list[Instance]:
    """The instances of these services, one of each, or as many as `wanted`: `2` is of each, `catalog=2` of one.

    What names one goes before what names none. ValueError is one line about the first that is wrong.
    """
    counts = dict.fromkeys(services, 1)
    for text in sorted(wanted, key=lambda text: "=" in text):
        service, _, count = text.rpartition("=")
        counts |= dict.fromkeys(_meant(text, service, services), _number(text, count))
    return [Instance(service, number) for service, count in counts.items() for number in range(1, count + 1)]


def port(instance: Instance, services: Sequence[str], first: int | None) -> int:
    """Where it listens: each further instance 100 above the one before it, and 0, any free port, where `first` is 0.

    First instances listen from `first` on in the order of `services`; by default on the ports of the whole store.
    """
    if first == 0:
        return 0
    above = _APART * (instance.number - 1)
    if first is None:
        return FIRST_PORT + list(SERVICES).index(instance.service) + above
    return first + services.index(instance.service) + above


def _meant(text: str, service: str, services: Sequence[str]) -> Sequence[str]:
    if "=" not in text:
        return services
    if service not in SERVICES:
        raise ValueError(f"--instances {text}: there is no service {service!r}; there are {', '.join(SERVICES)}")
    if service not in services:
        raise ValueError(f"--instances {text}: {service} is not run here, only {', '.join(services)}")
    return [service]


def _number(text: str, count: str) -> int:
    if count.isascii() and count.isdigit() and 1 <= int(count) <= MOST:
        return int(count)
    raise ValueError(f"--instances {text}: give a number from 1 to {MOST}, like 2 or catalog=2")
