"""API keys in a list, for people and for programs; never with anything that a key could be made of."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from bff_core.auth.kept_key import KeptKey
from bff_core.auth.peppers import Peppers

__all__ = ["document", "moment", "table"]


def table(keys: Sequence[KeptKey], peppers: Peppers, now: float) -> Table:
    """A row for each."""
    drawn = Table("id", "owner", "name", "plan", "scopes", "created", "expires", "last used", "state")
    for key in keys:
        moments = (moment(when) for when in (key.created_at, key.expires_at, key.last_used_at))
        words = [key.id, key.owner, key.name, key.plan, " ".join(sorted(key.scopes)), *moments]
        drawn.add_row(*map(Text, words), Text(_state(key, peppers, now)))
    return drawn


def document(keys: Sequence[KeptKey], peppers: Peppers, now: float) -> str:
    """An array of objects. Moments are in RFC 3339, or ``null``."""
    return json.dumps([_members(key, _state(key, peppers, now)) for key in keys], indent=2)


def moment(when: int | None) -> str:
    """For people."""
    return "-" if when is None else f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M} UTC"


def _members(key: KeptKey, state: str) -> dict[str, Any]:
    return {
        "id": key.id,
        "owner": key.owner,
        "name": key.name,
        "plan": key.plan,
        "scopes": sorted(key.scopes),
        "created": _rfc3339(key.created_at),
        "expires": _rfc3339(key.expires_at),
        "revoked": _rfc3339(key.revoked_at),
        "last_used": _rfc3339(key.last_used_at),
        "replaces": key.replaces,
        "state": state,
    }


def _state(key: KeptKey, peppers: Peppers, now: float) -> str:
    state = key.state(now)
    return "without its pepper" if state == "live" and key.pepper not in peppers else state


def _rfc3339(when: int | None) -> str | None:
    return None if when is None else datetime.fromtimestamp(when, UTC).isoformat().replace("+00:00", "Z")
