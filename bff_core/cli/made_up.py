"""What a gateway must be told and nobody has told it, made up for people who develop.

All of it is drawn from one secret, which is made at first need and kept in ``.bff`` of the project's folder, for its
owner alone. So `bff dev`, `bff run --dev` and `bff keys --dev` mean the same keys, on this machine and on no other; and
because they are of the environment ``dev``, no other gateway takes them.
"""

import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from typing import Any, Final

from bff_core.settings import SettingsError

__all__ = ["FOLDER", "made_up"]

FOLDER: Final = Path(".bff")
"""In the folder in which ``bff`` is run."""

_SECRET: Final = "secret"  # noqa: S105  the name of a file
_BYTES: Final = 32


def made_up(gateway: str, table: str) -> Mapping[str, Any]:
    """What goes over a table of the settings of a gateway; nothing, over most. Raises ``SettingsError``."""
    match table:
        case "keys":
            database = (FOLDER / f"{gateway}.keys.db").absolute()
            return {
                "pepper": _drawn(f"{gateway} keys.pepper"),
                "database": f"sqlite+aiosqlite:///{database}",
                "environment": "dev",
            }
        case "session":
            return {"keys": _drawn(f"{gateway} session.keys")}
    return {}


def _drawn(purpose: str) -> str:
    try:
        secret = _secret()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{FOLDER / _SECRET}: {getattr(error, 'strerror', None) or error}") from error
    return b64encode(hmac.digest(secret, purpose.encode(), "sha256")).decode()


def _secret() -> bytes:
    file = FOLDER / _SECRET
    if not file.exists():
        _make(file)
    secret = b64decode(file.read_text(encoding="ascii").strip(), validate=True)
    if len(secret) != _BYTES:
        raise ValueError(f"holds no {_BYTES} bytes in base64; delete it, and another one is made")
    return secret


def _make(file: Path) -> None:
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.with_name(".gitignore").write_text("*\n", encoding="ascii")
    number, made = mkstemp(dir=file.parent)  # for its owner alone
    try:
        with os.fdopen(number, "w", encoding="ascii") as out:
            out.write(f"{b64encode(os.urandom(_BYTES)).decode()}\n")
        with suppress(FileExistsError):  # the first of two that come at once has made it for both
            os.link(made, file)  # so that it is there as a whole, or not at all
    finally:
        Path(made).unlink()
