"""What happens to keys and sessions, a line each, for whoever asks later. No line holds a key, a token or the id of a
session.
"""

import logging
from typing import TYPE_CHECKING

from bff_core.context import current

if TYPE_CHECKING:
    from bff_core.auth.session import Session

__all__ = [
    "cross_site_refused",
    "key_made",
    "key_refused",
    "key_revoked",
    "key_rotated",
    "login_refused",
    "logout_refused",
    "session_began",
    "session_ended",
]

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


def session_began(session: "Session") -> None:
    """Somebody has logged in."""
    _write_of("session", "began", None, _whose(session))


def session_ended(session: "Session", why: str) -> None:
    """It holds no more."""
    _write_of("session", "ended", why, _whose(session))


def login_refused(why: str) -> None:
    """Somebody came back from the provider, and was not let in."""
    _write_of("login", "refused", why, {})


def logout_refused(why: str) -> None:
    """Somebody said, as if they were the provider, that somebody is logged out."""
    _write_of("logout", "refused", why, {})


def cross_site_refused(why: str) -> None:
    """Another site has made a browser send something."""
    _write_of("cross-site request", "refused", why, {})


def _whose(session: "Session") -> dict[str, str]:
    return {"issuer": session.issuer, "subject": session.subject, "login": session.login}


def _write_of(what: str, event: str, why: str | None, details: dict[str, str]) -> None:
    said = f"{what} {event}" if why is None else f"{what} {event}: {why}"
    details = {"event": event, "why": why or "", "request_id": current().request_id, **details}
    _log.info(said, extra={name: value for name, value in details.items() if value})
