"""The OpenID provider, spoken with on behalf of a gateway that browsers log in to: everything a login needs from it."""

import re
from collections.abc import Callable, Mapping
from time import time
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from bff_core.auth.algorithms import Algorithms
from bff_core.auth.asking import asked
from bff_core.auth.claims import Claims
from bff_core.auth.client_proof import ClientProof
from bff_core.auth.grants import Granted
from bff_core.auth.id_token import IdTokenRules, LoggedIn
from bff_core.auth.issuer import SESSION, Issuer
from bff_core.auth.issuer_client import Metadata
from bff_core.auth.issuer_keys import IssuerKeys
from bff_core.auth.jwt import TokenRefused
from bff_core.auth.logout_token import LogoutOrder, LogoutTokenRules
from bff_core.auth.signed_tokens import SignedTokens
from bff_core.auth.token_endpoint import TokenEndpoint
from bff_core.discovery import Source
from bff_core.errors import BadReply, GrantRefused
from bff_core.session_settings import SessionSettings
from bff_core.wire import Wire

__all__ = ["GrantRefused", "Granted", "LoggedIn", "LogoutOrder", "Provider"]

T = TypeVar("T")

_LONGEST: Final = 16 * 1024  # characters of a token
_LONGEST_HINT: Final = 4 * 1024  # in a URL, of which servers take 8 KiB
_CODE: Final = re.compile(r"[\x20-\x7e]+")  # RFC 6749, A.11


class Provider:
    """Asks over ``wire``, as ``agent``. ``source`` is where its instances are looked up, by default its settings;
    ``clock`` is seconds since 1970.

    Whatever has to ask the provider raises ``IdentityUnavailable`` where that does not answer as it should, and waits
    no longer than the deadline of the current request.
    """

    def __init__(
        self,
        settings: SessionSettings,
        wire: Wire,
        agent: str,
        *,
        source: Source | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._issuer = Issuer(settings, wire, agent, source, names=SESSION)
        self._keys = IssuerKeys(settings.issuer, self._issuer.keys, _forget_nothing)
        self._tokens = SignedTokens(Algorithms(settings.algorithms), self._keys)
        self._id_tokens, self._logout_tokens = IdTokenRules(settings), LogoutTokenRules(settings)
        proof = ClientProof(settings.client_id, settings.client_secret, settings.client_proof)
        self._endpoint = TokenEndpoint(self._issuer, proof)

    async def start(self) -> None:
        """Begin to look for its instances. Nothing is fetched yet."""
        await self._issuer.start()

    async def close(self) -> None:
        """End that, and what is under way."""
        await self._keys.close()
        await self._issuer.close()

    async def authorization_url(self, *, state: str, nonce: str, challenge: str, redirect_uri: str) -> str:
        """Where a browser is sent to log in (OpenID Connect Core, 3.1.2.1); ``challenge`` is one of S256."""
        asks = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return await asked(self._url(lambda found: found.authorization_endpoint, asks), "nobody can log in")

    async def exchange(self, code: str, *, verifier: str, redirect_uri: str) -> Granted:
        """What the code of a login comes to. Sent once. Raises ``GrantRefused``."""
        if not _CODE.fullmatch(code):
            raise GrantRefused("invalid_grant")  # no provider has given this
        return await self._endpoint.granted(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": verifier,
            }
        )

    async def refresh(self, refresh_token: str) -> Granted:
        """New tokens for old ones. Sent once. Raises ``GrantRefused``. Where no refresh token comes back, this one goes
        on (RFC 6749, 6).
        """
        return await self._endpoint.granted({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def revoke(self, token: str, hint: str) -> None:
        """A token is needed no longer; ``hint`` is ``access_token`` or ``refresh_token``. Raises ``GrantRefused``. A
        provider that cannot revoke tokens is not asked.
        """
        await self._endpoint.revoked(token, hint)

    async def end_session_url(self, id_token: str, back_to: str) -> str | None:
        """Where a browser is sent to log out there too (OpenID Connect RP-Initiated Logout, 2); ``None`` where nowhere.

        Without an ID token, or with one that is too long for a URL, the provider asks the person first.
        """
        hint = {"id_token_hint": id_token} if 0 < len(id_token) <= _LONGEST_HINT else {}
        says = {**hint, "client_id": self._settings.client_id, "post_logout_redirect_uri": back_to}
        if (await self._metadata()).end_session_endpoint is None:
            return None
        return await asked(self._url(lambda found: found.end_session_endpoint, says), "nobody can log out there")

    async def logged_in(self, id_token: str, *, nonce: str | None, access_token: str | None) -> LoggedIn:
        """Who is logged in, by an ID token that came with ``access_token``. Raises ``TokenRefused``.

        ``nonce`` is that of the login; at a refresh it is ``None``, and the caller compares subject and issuer.
        """
        return await self._verified(
            id_token,
            lambda header, said: self._id_tokens.logged_in(
                header, said, self._clock(), nonce=nonce, access_token=access_token
            ),
        )

    async def logout_order(self, logout_token: str) -> LogoutOrder:
        """Who is to be logged out, by a token that somebody sent who says to be the provider. Raises ``TokenRefused``.

        Whether the order came before is for the caller to know, by its ``jti``.
        """
        return await self._verified(
            logout_token, lambda header, said: self._logout_tokens.order(header, said, self._clock())
        )

    async def names_itself(self) -> bool:
        """It says with each code whose it is (RFC 9207): one that comes without that is not its own."""
        return (await self._metadata()).authorization_response_iss_parameter_supported is True

    def facts(self) -> dict[str, Any]:
        """How it is called, and how that goes; how many keys of it are known, and since when they cannot be fetched:
        for operators.
        """
        return {**self._issuer.facts(), "keys": self._keys.facts()}

    async def _verified(self, token: str, judge: Callable[[Claims, Claims], T]) -> T:
        if len(token) > _LONGEST:
            raise TokenRefused("it is too long")
        return await self._tokens.verified(token, judge)

    async def _metadata(self) -> Metadata:
        return await asked(self._issuer.metadata(), "the provider does not say what it can do")

    async def _url(self, of: Callable[[Metadata], str | None], says: Mapping[str, str]) -> str:
        url = self._issuer.checked(of(await self._issuer.metadata()))
        query = urlsplit(url).query
        if says.keys() & dict(parse_qsl(query, keep_blank_values=True)).keys():  # RFC 6749, 3.1: none of them twice
            raise BadReply(SESSION.issuer, "a URL in its metadata says what is for us to say")
        joint = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
        return f"{url}{joint}{urlencode(says)}"


def _forget_nothing() -> None:
    """Keys may change: each token is verified when it comes, and none is known after that."""
