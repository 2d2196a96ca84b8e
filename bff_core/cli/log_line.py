"""A line of a log as a person reads it."""

import json
from typing import Any, Final

__all__ = ["plain", "visible"]

_LONGEST: Final = 2000  # characters


def plain(line: str) -> str:
    """What a line of JSON log says, its traceback below it; any other line as it is, and never more than a beginning.

    Whatever cannot be printed is escaped, so that nothing a client sent moves the cursor or looks like a line of its
    own (CVE-2020-7694).
    """
    try:
        said = json.loads(line)
        return _read(said) if isinstance(said, dict) and "message" in said else visible(line)
    except (ValueError, RecursionError):
        return visible(line)


def _read(said: dict[str, Any]) -> str:
    took = f"  {said['ms']} ms" if "ms" in said else ""
    parts = said.get("parts")
    missing = "".join(f"  {part}{why}" for part, why in parts.items()) if isinstance(parts, dict) else ""
    return visible(f"{said['message']}{took}{missing}") + _below(said.get("traceback"))


def _below(traceback: Any) -> str:
    if not traceback:
        return ""
    # behind a bar, because the text of an error may hold newlines that a client sent
    return "".join(f"\n  | {visible(row)}" for row in f"{traceback}".split("\n"))


def visible(text: str) -> str:
    """The text, or a beginning of it, with all escaped that cannot be printed."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
    if cut.isprintable():
        return cut
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)
