"""How upstreams are told who asks."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr

from bff_core.setting_types import Duration, Secret, Strict

__all__ = ["RelaySettings"]

_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n.*?\n-----END \1-----\s*", re.DOTALL)
_PARAMETERS: Final = "EC PARAMETERS"  # which some tools write in front of a key, and which say nothing more than it


def _keys(value: SecretStr) -> SecretStr:
    _pems(value.get_secret_value())
    return value


def _pems(text: str) -> tuple[str, ...]:
    """Each private key in ``text``, as it is written there. ``ValueError`` never quotes what is wrong."""
    text = text.replace("\r\n", "\n").strip()
    blocks = list(_BLOCK.finditer(text))
    if _BLOCK.sub("", text):
        raise ValueError("holds something that is no PEM")
    found = tuple(block[0].strip() for block in blocks if block[1] != _PARAMETERS)
    if not found:
        raise ValueError(
            "holds no private key in PEM; make one with `openssl genpkey -algorithm EC "
            "-pkeyopt ec_paramgen_curve:P-256`"
        )
    if len({_number(pem) for pem in found}) < len(found):
        raise ValueError("holds one twice")
    return found


def _number(pem: str) -> int:
    """What a key is, however it is written."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  only gateways with a relay wait for it
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(pem.encode(), None)
    except TypeError:
        raise ValueError("holds a key under a password, which cannot be used") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("holds something that is no private key") from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("holds a key that is not on P-256")  # noqa: TRY004  pydantic reads ValueError
    return key.private_numbers().private_value


class RelaySettings(Strict):
    """A token of the gateway's own, for one upstream and a short time; services verify it by the keys at ``/jwks``
    of the operators' listener.
    """

    issuer: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]
    """Who says so (``iss``): what services know this gateway by."""

    keys: Annotated[Secret, AfterValidator(_keys)] | None = None
    """What it signs with: PEM of private keys on P-256, in the environment, as ``BFF_WEB__RELAY__KEYS``, or in a file.
    All of them are published, and the first is signed with. Without them, one is made at the start: for one process
    alone.
    """

    lifetime: Annotated[Duration, Field(ge=10, le=300)] = 60.0
    """How long one is good."""

    @property
    def pems(self) -> tuple[str, ...]:
        """Each private key, that which is signed with first; none where one is to be made."""
        return () if self.keys is None else _pems(self.keys.get_secret_value())

    @property
    def is_shared(self) -> bool:
        """Other processes sign with the same keys."""
        return self.keys is not None
