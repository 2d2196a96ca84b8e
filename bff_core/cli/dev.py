"""Every gateway at once, and what they need beside them, for people who develop."""

import asyncio
import shlex
import signal
import sys
from collections.abc import Container, Coroutine, Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from bff_core.cli.child import Child
from bff_core.cli.found import find_all
from bff_core.cli.made_up import FOLDER
from bff_core.cli.project import project
from bff_core.cli.screen import Screen
from bff_core.server.listener import PortTaken, bind
from bff_core.server.parent import adopt_orphans
from bff_core.settings import GatewaySettings, SettingsError
from bff_core.wire import Instance

__all__ = ["develop"]

_STARTS_WITHIN: Final = 60.0  # seconds; a first start may have databases to make
_STOPS_WITHIN: Final = 10.0
_OVER_WITHIN: Final = 1.0  # of what was killed


def develop() -> int:
    """Start everything, say where to look, and stop everything together. The exit status of the command."""
    gateways = {found.name: found.settings(dev=True) for found in find_all()}
    _check_addresses(gateways)
    return asyncio.run(_together(gateways, _commands(gateways)))


def _check_addresses(gateways: Mapping[str, GatewaySettings]) -> None:
    held: dict[str, str] = {}
    with ExitStack() as stack:  # all are held until the last is, because two gateways may want the same
        for name, settings in gateways.items():
            for place, address in ((f"{name}.listen", settings.listen), (f"{name}.admin", settings.admin)):
                try:
                    stack.enter_context(bind(address))
                except PortTaken as error:
                    raise PortTaken(f"{place}: {error}{_holders(held, address)}") from error
                held[place] = address


def _holders(held: Mapping[str, str], address: str) -> str:
    port = address.rpartition(":")[2]
    same = [f"{place} is {other}" for place, other in held.items() if other.rpartition(":")[2] == port]
    return f" ({', '.join(same)})" if same else ""


def _commands(gateways: Iterable[str]) -> dict[str, list[str]]:
    """What to start, each under a label of its own."""
    commands = {name: [sys.executable, "-m", "bff_core.cli", "run", name, "--dev"] for name in gateways}
    for command in project().dev:
        words = [sys.executable if word == "{python}" else word for word in shlex.split(command)]
        commands[_label(words, commands)] = words
    return commands


def _label(words: Sequence[str], taken: Container[str]) -> str:
    """The last plain word before the first ``--option``: ``demo`` for ``python -m demo --port 7001``."""
    before = takewhile(lambda word: not word.startswith("--"), words[1:])
    plain = [word for word in before if not word.startswith("-") and " " not in word]  # the others are a script
    wanted = label = Path(plain[-1] if plain else words[0]).name
    number = 1
    while label in taken:
        number += 1
        label = f"{wanted}-{number}"
    return label


async def _together(gateways: Mapping[str, GatewaySettings], commands: Mapping[str, list[str]]) -> int:
    adopt_orphans()
    told = _Told()
    screen = Screen(lost=told.to_stop.set)
    children: dict[str, Child] = {}
    # nobody routes to them here, so that nobody needs time to notice that they end
    env = {f"BFF_{name.upper()}__DRAIN": "1ms" for name in gateways}
    greeting = asyncio.create_task(_greet(screen, gateways))
    try:
        for label, words in commands.items():
            children[label] = await _start(screen, label, words, env)
        await _first(told.to_stop.wait(), *(child.ended() for child in children.values()))
        ended = [label for label, child in children.items() if child.has_ended]
        fallen = [] if told.to_stop.is_set() else ended
    finally:
        greeting.cancel()
        told.to_stop.set()
        await _stop(children.values(), told)
    if fallen:
        screen.say(f"bff: {', '.join(fallen)} ended by itself; stopped the rest", style="red")
    return 1 if fallen else 0


class _Told:
    """What a signal has told us: to stop, and, when Ctrl-C is pressed while we do, to stop at once."""

    def __init__(self) -> None:
        self.to_stop, self.to_hurry = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if (number, signal.getsignal(number)) != (signal.SIGHUP, signal.SIG_IGN):  # which is what nohup asks for
                asyncio.get_running_loop().add_signal_handler(number, self._hear, number)

    def _hear(self, number: int) -> None:
        # not at every second signal, because a terminal that is closed may send SIGHUP twice
        if number == signal.SIGINT and self.to_stop.is_set():
            self.to_hurry.set()
        self.to_stop.set()


async def _start(screen: Screen, label: str, words: list[str], env: Mapping[str, str]) -> Child:
    try:
        return await Child.start(words, lambda line: screen.show(label, line), env)
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"pyproject.toml: tool.bff.dev: cannot start {shlex.join(words)!r}: {reason}") from error


async def _stop(children: Iterable[Child], told: _Told) -> None:
    for child in children:
        child.signal(signal.SIGTERM)
    await _first(told.to_hurry.wait(), _all(child.gone() for child in children), within=_STOPS_WITHIN)
    for child in children:
        child.signal(signal.SIGKILL)
    await _all(child.over(_OVER_WITHIN) for child in children)


async def _all(events: Iterable[Coroutine[Any, Any, Any]]) -> None:
    await asyncio.gather(*events)


async def _first(*events: Coroutine[Any, Any, Any], within: float | None = None) -> None:
    tasks = [asyncio.create_task(event) for event in events]
    await asyncio.wait(tasks, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def _greet(screen: Screen, gateways: Mapping[str, GatewaySettings]) -> None:
    """Say where to look, once there is something to see."""
    needed = {_place(f"http://{settings.listen}") for settings in gateways.values() if _has_port(settings)} | {
        _place(place.url)
        for settings in gateways.values()
        for upstream in settings.upstreams.values()
        for place in upstream.instances
        if not place.url.startswith("unix:")
    }
    try:
        async with asyncio.timeout(_STARTS_WITHIN):
            await _all(_listens(host, port) for host, port in needed)
    except TimeoutError:
        screen.say(f"bff: not everything listens after {_STARTS_WITHIN:g} s", style="red")
        return
    screen.say("\nReady. Ctrl-C stops everything.", style="bold")
    for name, settings in gateways.items():
        screen.say(f"{name:>12}  {_seen_at(settings)}   operators: http://{settings.admin}/healthz")
    for name, settings in gateways.items():
        if settings.keys is not None:
            screen.say(f"A key for {name}:  bff keys create {name} --dev --owner NAME --scope SCOPE")
    if FOLDER.is_dir():
        screen.say(f"What nobody has set is made up, and kept in {FOLDER.absolute()}")
    screen.say("")


def _seen_at(settings: GatewaySettings) -> str:
    if settings.session is not None:
        return settings.session.origin  # and by no other name, because its cookies are of this host
    scheme = "https://" if settings.tls else "http://" if _has_port(settings) else ""
    return f"{scheme}{settings.listen}"


def _has_port(settings: GatewaySettings) -> bool:
    return not settings.listen.startswith("unix:")


def _place(url: str) -> tuple[str, int]:
    instance = Instance.parse("", url)
    return instance.host, instance.port


async def _listens(host: str, port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except (OSError, UnicodeError):  # UnicodeError: no name of a host at all
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
