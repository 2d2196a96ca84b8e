"""The endpoints of a provider at which we prove who we are: that for tokens, and that for tokens we need no longer."""

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from bff_core.auth.asking import asked
from bff_core.auth.client_proof import ClientProof
from bff_core.auth.grants import Granted, GrantedReply, RefusedReply
from bff_core.auth.issuer import Issuer
from bff_core.errors import GrantRefused
from bff_core.services.client import with_form
from bff_core.upstream import Call, Endpoint, Template
from bff_core.wire import Instance

__all__ = ["TokenEndpoint"]

_log = logging.getLogger("bff.auth")

T = TypeVar("T")

_REFUSALS: Final = frozenset({400, 401, 403})  # RFC 6749, 5.2, and what some providers say instead
_ABOUT_US: Final = frozenset({"invalid_client", "unauthorized_client"})
_SECRETS: Final = ("code", "code_verifier", "refresh_token", "token")
_LONGEST: Final = 200  # characters


class TokenEndpoint:
    """Asks as whom ``proof`` proves us to be.

    Everything raises ``GrantRefused`` where the answer is no, which is no failure of the provider; and
    ``IdentityUnavailable`` where there is no answer: it does not come, is none, or is 5xx.
    """

    def __init__(self, issuer: Issuer, proof: ClientProof) -> None:
        self._issuer, self._proof = issuer, proof

    async def granted(self, form: Mapping[str, str]) -> Granted:
        """What is granted for this. Sent once, whatever becomes of it: a code that is shown twice is taken for stolen
        (RFC 6749, 4.1.2), and so is a refresh token that is rotated (RFC 9700, 4.14.2).
        """
        answer = await asked(self._granted(form), "no tokens were granted")
        if isinstance(answer, RefusedReply):
            raise self._refused(answer, form)
        return answer.granted()

    async def revoked(self, token: str, hint: str) -> None:
        """The token is worth nothing any more, and where it is a refresh token nothing that came of it (RFC 7009).
        Sent again after a failure, because revoked twice is revoked. A provider without such an endpoint does nothing.
        """
        form = {"token": token, "token_type_hint": hint}
        answer = await asked(self._revoked(form), "a token could not be revoked")
        if isinstance(answer, RefusedReply) and answer.error != "unsupported_token_type":
            raise self._refused(answer, form)

    async def _granted(self, form: Mapping[str, str]) -> GrantedReply | RefusedReply:
        metadata = await self._issuer.metadata()
        return await self._call(metadata.token_endpoint, _granting, form)

    async def _revoked(self, form: Mapping[str, str]) -> RefusedReply | None:
        endpoint = (await self._issuer.metadata()).revocation_endpoint
        return None if endpoint is None else await self._call(endpoint, _revoking, form)

    async def _call(self, url: str | None, endpoint_at: Callable[[str], Endpoint[T]], form: Mapping[str, str]) -> T:
        client, target = self._issuer.at(url)
        call = Call(client.upstream, endpoint_at(target), target)
        return await with_form(call, self._proof.added_to(form), self._proof.authorization)

    def _refused(self, reply: RefusedReply, form: Mapping[str, str]) -> GrantRefused:
        if reply.error in _ABOUT_US:
            _log.warning("the provider does not take us for the client that is set: %s", reply.error)
        _log.debug("the provider refuses a grant: %s: %s", reply.error, self._harmless(reply.error_description, form))
        return GrantRefused(reply.error)

    def _harmless(self, description: Any, form: Mapping[str, str]) -> str:
        """What it says to people, on one line, and without the secrets that we have told it."""
        if not isinstance(description, str):
            return "no description"
        said = self._proof.taken_out_of(description)
        for name in _SECRETS:
            if secret := form.get(name):
                said = said.replace(secret, "...")
        return "".join(one if one.isprintable() else " " for one in said[:_LONGEST])


class _Answering(Endpoint[Any]):
    """Reads a refusal, too: it is an answer, and says nothing against the provider."""

    __slots__ = ()

    def read(self, instance: Instance, reply: Any) -> Any:
        if reply.status in _REFUSALS and (refusal := _refusal(reply.body)) is not None:
            return refusal
        return super().read(instance, reply)


@lru_cache(maxsize=8)
def _granting(target: str) -> Endpoint[GrantedReply | RefusedReply]:
    return _Answering("POST", Template(target), GrantedReply)


@lru_cache(maxsize=8)
def _revoking(target: str) -> Endpoint[RefusedReply | None]:
    endpoint = _Answering("POST", Template(target), type(None), asks=True)
    endpoint.reading = False  # it changes something, and goes on when whoever logs out has left
    return endpoint


def _refusal(body: bytes) -> RefusedReply | None:
    try:
        return RefusedReply.model_validate_json(body)
    except ValidationError:
        return None
