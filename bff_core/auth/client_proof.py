"""How we prove to an issuer who we are (RFC 6749, 2.3.1)."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote_plus

from pydantic import SecretStr

__all__ = ["ClientProof", "basic"]


def basic(client_id: str, secret: SecretStr) -> SecretStr:
    """The value of ``Authorization``."""
    # each is form-encoded first, so that neither holds a colon
    pair = f"{quote_plus(client_id)}:{quote_plus(secret.get_secret_value())}"
    return SecretStr(f"Basic {b64encode(pair.encode('ascii')).decode('ascii')}")


class ClientProof:
    """Our name and our secret, shown in a header or among the fields of a form."""

    def __init__(
        self, client_id: str, secret: SecretStr, method: Literal["client_secret_basic", "client_secret_post"]
    ) -> None:
        self._client_id, self._secret = client_id, secret
        self._in_form = method == "client_secret_post"
        self.authorization = None if self._in_form else basic(client_id, secret)
        """What the header says, where it is shown there."""

    def added_to(self, form: Mapping[str, str]) -> dict[str, str]:
        """The form, with what proves it, where it is shown there."""
        if not self._in_form:
            return dict(form)
        return {**form, "client_id": self._client_id, "client_secret": self._secret.get_secret_value()}

    def taken_out_of(self, text: str) -> str:
        """The text without our secret, as somebody may repeat it to whom it was shown."""
        return text.replace(self._secret.get_secret_value(), "...")
