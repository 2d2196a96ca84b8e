"""HTML, drawn on the server: works without JavaScript, and allows one script of ours."""

from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from babel import Locale
from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.types import Scope

from bff_core.auth import Visitor, browser_session, form_token
from bff_core.edge.problems import document, headers, problem
from bff_core.errors import GatewayError

__all__ = ["draw", "draw_problem"]

_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}
_OF_QUERIES: Final = "%&=+;/?:@!$,'()*"
_ENGLISH: Final = Locale("en")
_templates: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _day(moment: date | datetime) -> str:
    return f"{moment.day} {moment:%b %Y}"


def _soon(moment: date) -> str:
    return f"{moment:%a} {moment.day} {moment:%b}"


def _published(when: str) -> str:
    year, *rest = when.split("-")
    month = [_ENGLISH.months["format"]["wide"].get(int(part), part) for part in rest[:1]]
    return " ".join([*(str(int(part)) for part in rest[1:]), *month, year])


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _language(code: str) -> str:
    return str(_ENGLISH.languages.get(code.split("-", maxsplit=1)[0].lower(), code))


def _country(code: str) -> str:
    return str(_ENGLISH.territories.get(code, code))


_templates.filters.update(
    day=_day, soon=_soon, published=_published, counted=_counted, language=_language, country=_country
)


def draw(request: Request, template: str, viewer: Visitor, **page: Any) -> Response:
    """``template`` with the members of ``page``."""
    settings = request.app.state.settings
    account = {"login": settings.session is not None, "session": browser_session(), "form_token": form_token()}
    around = {"viewer": viewer, "regions": settings.regions, "here": _here(request), **account}
    html = _templates.get_template(template).render(**around, **page)
    return Response(html, headers=_HEADERS, media_type="text/html")


def _here(request: Request) -> str:
    # written as a browser would write it, because clients send what /login takes for no path
    path, query = quote(request.scope["path"]), quote(request.scope["query_string"], safe=_OF_QUERIES)
    return f"{path}?{query}" if query else path


def draw_problem(error: GatewayError, scope: Scope) -> Response:
    """An error as a page for people; as a problem document for whoever does not ask for HTML."""
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept").lower()
    if b"text/html" not in accept or scope["path"].startswith("/api/"):
        response = problem(error, scope)
    else:
        html = _templates.get_template("problem.html").render(problem=document(error))
        response = Response(html, error.status, {**_HEADERS, **headers(error)}, media_type="text/html")
    response.headers["vary"] = "accept"
    return response
