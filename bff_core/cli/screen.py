"""What people see of everything that runs together."""

import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Final, NoReturn

from rich.console import Console
from rich.text import Text

from bff_core.cli.log_line import plain

__all__ = ["Screen"]

_COLOURS: Final = ("cyan", "magenta", "green", "yellow", "blue")


class Screen:
    """Standard output. When it is gone, ``lost`` is called, and what is said after that is said to nobody."""

    def __init__(self, lost: Callable[[], None]) -> None:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may know fewer letters than a log
        self._console = _Console(highlight=False, soft_wrap=True)
        self._colours: dict[str, str] = {}
        self._lost = lost

    def show(self, label: str, line: str) -> None:
        """A line of what runs under this label."""
        colour = self._colours.setdefault(label, _COLOURS[len(self._colours) % len(_COLOURS)])
        self._print(Text(f"{label:>12} ", style=colour) + Text(plain(line)))

    def say(self, text: str, style: str = "") -> None:
        """A line of our own."""
        self._print(Text(text, style=style))

    def _print(self, text: Text) -> None:
        try:
            self._console.print(text)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
            self._lost()


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError  # rich would exit, and leave behind what we have started
