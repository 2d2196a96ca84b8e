"""The keys that the provider signs with."""

import json
import os
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from demo.database import alone

MOST = 6  # the present pair and two before it
ALGORITHMS = ("ES256", "RS256")

Key = ECKey | RSAKey


class Keys:
    """A key for each algorithm and those before them, kept in a file that only its owner may read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path.parent):  # because providers that start together in one folder must have the same keys
            self._keys = _read(path) if path.exists() else self._replace(_pair())

    def rotate(self) -> None:
        """Sign with new keys from now on; the old ones stay published, so that what they signed can be verified."""
        self._keys = self._replace([*_pair(), *self._keys][:MOST])

    def public(self) -> dict[str, Any]:
        """What verifies our signatures (RFC 7517, section 5)."""
        return {"keys": [key.as_dict(private=False) for key in self._keys]}

    def sign(self, claims: dict[str, Any], *, algorithm: str, kind: str) -> str:
        """A JWT of this `typ`."""
        key = next(key for key in self._keys if key.alg == algorithm)
        return jwt.encode({"alg": algorithm, "typ": kind, "kid": key.kid}, claims, key, algorithms=[algorithm])

    def read(self, token: str, *, kind: str) -> dict[str, Any] | None:
        """The claims of a JWT of this `typ` that we signed, however long ago; None for anything else."""
        try:
            found = jwt.decode(token, KeySet(list(self._keys)), algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            return None
        return found.claims if found.header.get("typ") == kind else None

    def _replace(self, keys: list[Key]) -> list[Key]:
        unfinished = self._path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"keys": [key.as_dict(private=True) for key in keys]}, file)
        unfinished.replace(self._path)
        return keys


def _pair() -> list[Key]:
    return [
        ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True),
        RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True),
    ]


def _read(path: Path) -> list[Key]:
    kinds: dict[str, type[Key]] = {"EC": ECKey, "RSA": RSAKey}
    return [kinds[key["kty"]].import_key(key) for key in json.loads(path.read_text())["keys"]]
