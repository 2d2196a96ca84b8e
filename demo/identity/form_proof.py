"""Forms that only our own pages can send (CSRF)."""

import hmac
from dataclasses import dataclass
from secrets import token_urlsafe

from fastapi import Request
from starlette.responses import Response

from demo.identity import cookies
from demo.identity.parameters import Parameters
from demo.identity.provider import Provider


@dataclass(frozen=True)
class FormProof:
    """A cookie and the field that goes with it; good for one browser and one purpose."""

    provider: Provider
    cookie: str
    purpose: str

    @property
    def field(self) -> str:
        """What the form carries, as `proof`."""
        return hmac.digest(self.provider.secret, f"{self.cookie}\n{self.purpose}".encode(), "sha256").hex()

    def keep(self, response: Response) -> Response:
        """The page, with the cookie."""
        cookies.write(response, self.provider.issuer, cookies.FORM, self.cookie)
        return response

    def fits(self, form: Parameters) -> bool:
        """Whether this form is ours."""
        return hmac.compare_digest(self.field.encode(), (form.get("proof") or "").encode())


def form_proof(request: Request, provider: Provider, purpose: str) -> FormProof:
    """By the cookie that the browser has, so that two pages may be open at once; or by a new one."""
    return FormProof(provider, cookies.read(request, provider.issuer, cookies.FORM) or token_urlsafe(32), purpose)
