"""The keys of an issuer that tokens may be verified with, as its key set lists them (RFC 7517)."""

from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import import_key
from joserfc.jws import JWSRegistry

from bff_core.auth.algorithms import ED25519
from bff_core.auth.jwt import from_base64url

__all__ = ["KeyRing", "PublicKey"]

_MOST: Final = 100  # keys that are read of a set
_RSA_BITS: Final = range(2048, 8193)  # weaker ones can be broken, longer ones keep the processor
_LONGEST: Final = 8193 * 8  # characters of a member, before it is looked at any closer
_LONGEST_EXPONENT: Final = 8  # characters, for the same reason; nearly all say AQAB
_ED25519_NAMES: Final = frozenset({ED25519, "EdDSA"})
_PRIVATE: Final = frozenset({"d", "p", "q", "k"})
_MODELS: Final = JWSRegistry(algorithms=["RS256", "ES256", ED25519])


class PublicKey:
    """One key, for one algorithm. Equal ones are made of the same numbers."""

    __slots__ = ("_key", "_model", "algorithm", "made_of")

    def __init__(self, algorithm: str, members: Mapping[str, str]) -> None:
        self.algorithm = algorithm
        self.made_of = tuple(sorted(members.items()))
        self._model = _MODELS.get_alg(algorithm)
        self._key = import_key(dict(members))
        self._model.check_key(self._key)

    def signed(self, text: bytes, signature: bytes) -> bool:
        """The signature is one of this key, of this text. Takes 40 to 80 us of the processor."""
        return self._model.verify(text, signature, self._key)


class KeyRing:
    """The keys that can be used. Those that cannot are passed over: other kinds, too weak, for encryption, broken."""

    def __init__(self, keys: Iterable[tuple[str | None, PublicKey]]) -> None:
        found = list(keys)
        self._all = [key for _, key in found]
        self._named: dict[str, dict[str, PublicKey]] = {}
        for kid, key in found:
            if kid is not None:
                self._named.setdefault(kid, {}).setdefault(key.algorithm, key)
        self._content = {(kid, key.algorithm, key.made_of) for kid, key in found}

    @classmethod
    def of(cls, jwks: Collection[Any]) -> "KeyRing":
        """From the ``keys`` of a set; what is beyond the first hundred is not looked at."""
        read = ((_kid(jwk), _public_key(jwk)) for jwk in islice(jwks, _MOST))
        return cls((kid, key) for kid, key in read if key is not None)

    def key(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The key of that name; without a name, the only one of that algorithm."""
        if kid is not None:
            return self._named.get(kid, {}).get(algorithm)
        fitting = [key for key in self._all if key.algorithm == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    def knows(self, kid: str) -> bool:
        """There is a key of that name, whatever it is for."""
        return kid in self._named

    def same_as(self, other: "KeyRing") -> bool:
        """The same keys by the same names."""
        return self._content == other._content

    def __len__(self) -> int:
        return len(self._all)


def _kid(jwk: Any) -> str | None:
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    return kid if isinstance(kid, str) else None


def _public_key(jwk: Any) -> PublicKey | None:
    made = _kind(jwk)
    if made is None or not _may_verify(jwk, made[0]):
        return None
    try:
        return PublicKey(*made)
    except (JoseError, UnsupportedAlgorithm, ValueError, TypeError):
        return None


class _Made(NamedTuple):
    algorithm: str
    members: Mapping[str, str]  # and no others, because what they say was looked at here


def _kind(jwk: Any) -> _Made | None:
    match jwk:
        case {"kty": "RSA", "n": str(n), "e": str(e)} if _is_reasonable(n, e):
            return _Made("RS256", {"kty": "RSA", "n": n, "e": e})
        case {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y)} if len(x) + len(y) < _LONGEST:
            return _Made("ES256", {"kty": "EC", "crv": "P-256", "x": x, "y": y})
        case {"kty": "OKP", "crv": "Ed25519", "x": str(x)} if len(x) < _LONGEST:
            return _Made(ED25519, {"kty": "OKP", "crv": "Ed25519", "x": x})
    return None


def _is_reasonable(modulus: str, exponent: str) -> bool:
    try:
        bits = int.from_bytes(from_base64url(modulus)).bit_length() if len(modulus) < _LONGEST else 0
    except ValueError:
        return False
    return bits in _RSA_BITS and len(exponent) <= _LONGEST_EXPONENT


def _may_verify(jwk: Mapping[str, Any], algorithm: str) -> bool:
    names = _ED25519_NAMES if algorithm == ED25519 else {algorithm}
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and ("alg" not in jwk or jwk["alg"] in list(names))
        and not _PRIVATE & jwk.keys()  # a private key that anyone can read proves nothing
    )
