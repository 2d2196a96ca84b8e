"""What an authorization request asks for (RFC 6749, section 4.1.1; OIDC Core, section 3.1.2.1)."""

import re
from dataclasses import dataclass

from demo.identity.clients import Client
from demo.identity.errors import Refused
from demo.identity.parameters import Parameters
from demo.identity.provider import Provider
from demo.identity.sessions import Session

S256 = re.compile(r"[A-Za-z0-9_-]{43}")
PROMPTS = ("none", "login", "consent", "select_account")
NOT_SUPPORTED = ("request", "request_uri", "registration")


@dataclass(frozen=True)
class Wanted:
    """A request that makes sense."""

    scopes: tuple[str, ...]
    audience: str
    challenge: str
    nonce: str | None
    prompts: frozenset[str]
    max_age: int | None
    subject: str | None
    """The only user who will do, by `id_token_hint`."""

    def suits(self, session: Session, now: float) -> bool:
        """Whether the client is content with who is logged in, and since when."""
        if self.prompts & {"login", "select_account"}:
            return False
        too_old = self.max_age is not None and now - session.auth_time > self.max_age
        return not too_old and self.subject in {None, session.user.id}


def wanted_by(client: Client, parameters: Parameters, provider: Provider) -> Wanted:
    """What it wants; Refused, with the name that the RFCs have for what is wrong."""
    _check_flow(client, parameters)
    return Wanted(
        scopes=_scopes(client, parameters),
        audience=_audience(client, parameters),
        challenge=_challenge(parameters),
        nonce=parameters.get("nonce"),
        prompts=_prompts(parameters),
        max_age=_max_age(parameters),
        subject=_subject(client, parameters, provider),
    )


def _check_flow(client: Client, parameters: Parameters) -> None:
    if parameters.repeated:
        raise Refused("invalid_request", "a parameter is sent more than once")
    for name in NOT_SUPPORTED:
        if parameters.get(name):
            raise Refused(f"{name}_not_supported", f"{name} is not taken here")
    if "authorization_code" not in client.grants:
        raise Refused("unauthorized_client", "this client acts for nobody but itself")
    if parameters.get("response_type") is None:
        raise Refused("invalid_request", "response_type is missing")
    if parameters.get("response_type") != "code":
        raise Refused("unsupported_response_type", "only codes are given here")
    if parameters.get("response_mode") not in {None, "query"}:
        raise Refused("invalid_request", "response_mode can only be query")


def _scopes(client: Client, parameters: Parameters) -> tuple[str, ...]:
    """Those it may have; others are passed over (OIDC Core, section 3.1.2.1), and the token's answer says so."""
    scopes = client.allowed(parameters.get("scope") or "")
    if not scopes:
        raise Refused("invalid_scope", "none of these scopes is for this client")
    return scopes


def _audience(client: Client, parameters: Parameters) -> str:
    audience = parameters.get("resource") or client.audiences[0]
    if audience not in client.audiences:
        raise Refused("invalid_target", "this client gets no tokens for that resource")
    return audience


def _challenge(parameters: Parameters) -> str:
    """Always there, and never plain, whatever kind of client it is (RFC 9700, section 2.1.1)."""
    challenge = parameters.get("code_challenge") or ""
    if not S256.fullmatch(challenge) or parameters.get("code_challenge_method") != "S256":
        raise Refused("invalid_request", "PKCE is needed: code_challenge, with the method S256")
    return challenge


def _prompts(parameters: Parameters) -> frozenset[str]:
    prompts = frozenset((parameters.get("prompt") or "").split())
    if not prompts <= set(PROMPTS) or ("none" in prompts and len(prompts) > 1):
        raise Refused("invalid_request", "prompt makes no sense")
    return prompts


def _max_age(parameters: Parameters) -> int | None:
    text = parameters.get("max_age")
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise Refused("invalid_request", "max_age is no number of seconds")
    return int(text)


def _subject(client: Client, parameters: Parameters, provider: Provider) -> str | None:
    hint = parameters.get("id_token_hint")
    if hint is None:
        return None
    claims = provider.keys.read(hint, kind="JWT")
    if claims is None or claims.get("aud") != client.id:
        raise Refused("invalid_request", "id_token_hint is not one that this client got here")
    return str(claims["sub"])
