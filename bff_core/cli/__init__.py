"""The ``bff`` command."""

from bff_core.cli.command import main

__all__ = ["main"]
