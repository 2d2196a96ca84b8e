"""Every gateway at once, and what they need beside them, for people who develop."""

import asyncio
import json
import shlex
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from bff_core.cli.found import find, names, project
from bff_core.cli.serve import bind
from bff_core.settings import GatewaySettings

__all__ = ["develop"]

_STARTS_WITHIN = 60.0  # seconds; a first start may have databases to make
_STOPS_WITHIN = 10.0
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue")
_console = Console(highlight=False, soft_wrap=True)


def develop() -> int:
    """Start everything, say where to look, and stop everything together. The exit status of the command."""
    gateways = {name: find(name).settings() for name in names()}
    for settings in gateways.values():
        bind(settings.listen).close()
        bind(settings.admin).close()
    return asyncio.run(_together(gateways))


async def _together(gateways: dict[str, GatewaySettings]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    commands = {name: f"{{python}} -m bff_core.cli run {name}" for name in gateways}
    commands |= {_label(command): command for command in project().get("dev", [])}
    children = {name: await _start(command) for name, command in commands.items()}
    watching = [
        asyncio.create_task(_show(name, child, _COLOURS[place % len(_COLOURS)]))
        for place, (name, child) in enumerate(children.items())
    ]
    greeting = asyncio.create_task(_greet(gateways))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([*watching, stopped], return_when=asyncio.FIRST_COMPLETED)
    greeting.cancel()
    fallen = [name for name, child in children.items() if child.returncode is not None]
    await _stop(children, watching)
    if not stop.is_set():
        _console.print(f"bff: {', '.join(fallen) or 'something'} ended by itself; stopped the rest", style="red")
    stopped.cancel()
    return 0 if stop.is_set() else 1


def _label(command: str) -> str:
    return command.rsplit(maxsplit=1)[-1]


async def _start(command: str) -> Process:
    words = [sys.executable if word == "{python}" else word for word in shlex.split(command)]
    # a session of its own, because Ctrl-C should reach us alone: we end them in order
    return await asyncio.create_subprocess_exec(*words, stdout=PIPE, stderr=STDOUT, start_new_session=True)


async def _show(name: str, child: Process, colour: str) -> None:
    assert child.stdout is not None  # noqa: S101  it is a pipe
    async for line in child.stdout:
        _console.print(Text(f"{name:>12} ", style=colour) + Text(_plain(line.decode(errors="replace").rstrip())))
    await child.wait()


def _plain(line: str) -> str:
    """A line of JSON log as a person reads it; any other line as it is."""
    try:
        said = json.loads(line)
        text = f"{said['message']}"
    except (ValueError, KeyError, TypeError):
        return line
    parts = "".join(f"  {part}{why}" for part, why in said.get("parts", {}).items())
    took = f"  {said['ms']} ms" if "ms" in said else ""
    return f"{text}{took}{parts}" + (f"\n{said['traceback']}" if "traceback" in said else "")


async def _greet(gateways: dict[str, GatewaySettings]) -> None:
    """Say where to look, once there is something to see."""
    needed = {settings.listen for settings in gateways.values()} | {
        urlsplit(instance).netloc
        for settings in gateways.values()
        for upstream in settings.upstreams.values()
        for instance in upstream.instances
    }
    try:
        async with asyncio.timeout(_STARTS_WITHIN):
            await asyncio.gather(*(_listens(address) for address in needed))
    except TimeoutError:
        _console.print(f"bff: not everything listens after {_STARTS_WITHIN:g} s", style="red")
        return
    _console.print("\nReady. Ctrl-C stops everything.", style="bold")
    for name, settings in gateways.items():
        _console.print(f"{name:>12}  http://{settings.listen}   operators: http://{settings.admin}/healthz")
    _console.print("")


async def _listens(address: str) -> None:
    host, _, port = address.rpartition(":")
    while True:
        try:
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def _stop(children: dict[str, Process], watching: list[asyncio.Task[None]]) -> None:
    for child in children.values():
        if child.returncode is None:
            child.terminate()
    _, late = await asyncio.wait(watching, timeout=_STOPS_WITHIN)
    for child in children.values():
        if late and child.returncode is None:
            child.kill()
    await asyncio.wait(watching)
