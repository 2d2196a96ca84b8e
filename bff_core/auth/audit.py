"""What happens to keys, tokens and sessions, a line each, for whoever asks later. A key is named by its id; no line
holds a key, a token, or the id of a session.
"""

import asyncio
import logging
from contextvars import Context
from typing import TYPE_CHECKING, Final

from bff_core.context import current

if TYPE_CHECKING:
    from bff_core.auth.session import Session

__all__ = ["Refusals", "key_made", "key_revoked", "key_rotated", "session_began", "session_ended"]

_log = logging.getLogger("bff.audit")

_LINES: Final = 10  # of one reason
_WHILE: Final = 10.0  # seconds
_REASONS: Final = 30  # that are told apart at once: whoever is refused may have a word in them
_OTHERS: Final = "for other reasons"


def key_made(key_id: str, owner: str) -> None:
    """There is a new one."""
    _write("key made", event="made", key_id=key_id, owner=owner)


def key_rotated(key_id: str, owner: str, *, replaces: str) -> None:
    """There is a new one in the place of another."""
    why = f"it replaces {replaces}"
    _write(f"key made: {why}", event="made", key_id=key_id, owner=owner, why=why)


def key_revoked(key_id: str, owner: str) -> None:
    """It is not taken any more."""
    _write("key revoked", event="revoked", key_id=key_id, owner=owner)


class Refusals:
    """Refused is a ``what``: a key, or a token.

    Anybody can be refused as often as they like, and must not fill the disk: of each reason there are ten lines in
    ten seconds, and then one that says how many were left out.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._noted: dict[str, int] = {}
        self._ends: dict[str, asyncio.TimerHandle] = {}

    def note(self, why: str, *, reason: str | None = None, key_id: str | None = None, owner: str | None = None) -> None:
        """Somebody showed it in the current request. Without an id nothing was shown that has one.

        Lines are counted by ``reason``, which is to be given where ``why`` has a word of whoever is refused in it: who
        makes up words must not hide the others.
        """
        reason = reason or why
        reason = reason if reason in self._noted or len(self._noted) < _REASONS else _OTHERS
        number = self._noted[reason] = self._noted.get(reason, 0) + 1
        if number == 1:
            # not in the context of this request, because what was left out is of others
            self._ends[reason] = asyncio.get_running_loop().call_later(_WHILE, self._end, reason, context=Context())
        if number <= _LINES:
            _write(f"{self._what} refused: {why}", event="refused", key_id=key_id, owner=owner, why=why)

    def close(self) -> None:
        """Say what was left out so far."""
        for reason in list(self._noted):
            self._end(reason)

    def _end(self, reason: str) -> None:
        self._ends.pop(reason).cancel()
        left_out = self._noted.pop(reason) - _LINES
        if left_out > 0:
            _write(f"{self._what} refused {left_out} more times: {reason}", event="refused", why=reason, times=left_out)


def session_began(session: "Session") -> None:
    """Somebody has logged in."""
    _write("session began", event="began", **_whose(session))


def session_ended(session: "Session", why: str) -> None:
    """It holds no more."""
    _write(f"session ended: {why}", event="ended", why=why, **_whose(session))


def _whose(session: "Session") -> dict[str, str]:
    return {"issuer": session.issuer, "subject": session.subject, "login": session.login}


def _write(said: str, **details: str | int | None) -> None:
    known = {**details, "request_id": current().request_id}
    _log.info(said, extra={name: value for name, value in known.items() if value})
