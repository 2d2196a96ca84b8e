"""``bff upstreams``: what a gateway that runs knows of its upstreams, once, or again and again."""

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Final

from rich.console import Console
from rich.live import Live

from bff_core.cli.facts import GatewayFacts
from bff_core.cli.operators import NoAnswer, Operators
from bff_core.cli.upstreams_picture import Picture
from bff_core.settings import GatewaySettings

__all__ = ["print_document", "show", "watch"]

_EVERY: Final = 1.0  # seconds
_ON_ONE_LINE: Final = 1000  # columns


def show(settings: GatewaySettings) -> None:
    """Draw it. Raises ``NoAnswer``."""
    facts = asyncio.run(_facts(settings))
    _console().print(Picture(facts, settings.admin))


def print_document(settings: GatewaySettings) -> None:
    """Print it as it came, in JSON. Raises ``NoAnswer``."""
    document = asyncio.run(_document(settings))
    sys.stdout.write(f"{document.decode()}\n")


def watch(settings: GatewaySettings) -> None:
    """Draw it anew every second until Ctrl-C or SIGTERM. ``NoAnswer`` only where the gateway is not there at first."""
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_watch(settings))


async def _facts(settings: GatewaySettings) -> GatewayFacts:
    async with Operators(settings) as operators:
        return await operators.facts()


async def _document(settings: GatewaySettings) -> bytes:
    async with Operators(settings) as operators:
        return await operators.document()


async def _watch(settings: GatewaySettings) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # or the cursor would stay hidden
    console = _console()
    async with Operators(settings) as operators:
        picture = Picture(await operators.facts(), settings.admin)
        with Live(console=console, auto_refresh=False) as live:
            while True:
                if console.is_terminal:
                    live.update(picture, refresh=True)
                else:  # of a live picture, a pipe would get the last one alone
                    console.print(picture)
                await asyncio.sleep(_EVERY)
                picture = await _next(operators, picture)


async def _next(operators: Operators, last: Picture) -> Picture:
    try:
        return Picture(await operators.facts(), last.at)
    except NoAnswer as error:
        return Picture(last.facts, last.at, lost=str(error))


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_ON_ONE_LINE)
