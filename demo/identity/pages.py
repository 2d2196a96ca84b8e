"""Pages for people: plain HTML that needs no script and loads nothing from elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

FOLDER = Path(__file__).parent / "templates"
TEMPLATES = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
STYLE = (FOLDER / "style.css").read_text(encoding="utf-8")

router = APIRouter()


@router.get("/style.css")
async def style() -> Response:
    """How they look."""
    return Response(STYLE, media_type="text/css", headers={"cache-control": "public, max-age=60"})


def page(
    template: str,
    /,
    *,
    status: int = 200,
    leads_to: str = "",
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> HTMLResponse:
    """A page that nobody keeps and nobody frames. `leads_to` is the URI at which its form may end."""
    # named too, because browsers hold the redirect after a form against form-action
    forms = f"'self' {_source(leads_to)}".strip()
    policy = f"default-src 'none'; style-src 'self'; img-src data:; form-action {forms}; frame-ancestors 'none'"
    safe = {
        "cache-control": "no-store",
        "content-security-policy": f"{policy}; base-uri 'none'",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
    return HTMLResponse(TEMPLATES.get_template(template).render(values), status, {**safe, **(headers or {})})


def _source(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme in {"http", "https"}:
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:" if parts.scheme else ""
