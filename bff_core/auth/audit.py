"""What happens to keys, a line each, for whoever asks later. A key is named by its id; no line holds a key."""

import logging

from bff_core.context import current

__all__ = ["key_made", "key_refused", "key_revoked", "key_rotated"]

_log = logging.getLogger("bff.audit")


def key_made(key_id: str, owner: str) -> None:
    """There is a new one."""
    _write("made", key_id, owner, None)


def key_rotated(key_id: str, owner: str, *, replaces: str) -> None:
    """There is a new one in the place of another."""
    _write("made", key_id, owner, f"it replaces {replaces}")


def key_revoked(key_id: str, owner: str) -> None:
    """It is not taken any more."""
    _write("revoked", key_id, owner, None)


def key_refused(key_id: str | None, owner: str | None, why: str) -> None:
    """Somebody showed it in the current request. Without an id nothing was shown that has one."""
    _write("refused", key_id, owner, why)


def _write(event: str, key_id: str | None, owner: str | None, why: str | None) -> None:
    details = {"event": event, "key_id": key_id, "owner": owner, "why": why, "request_id": current().request_id}
    said = f"key {event}" if why is None else f"key {event}: {why}"
    _log.info(said, extra={name: value for name, value in details.items() if value})
