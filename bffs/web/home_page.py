"""The front of the store: the catalogue, and search in it."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from bff_core.auth import Viewer
from bff_core.composition import Composition
from bff_core.edge.json_body import StrictRoute
from bff_core.edge.parameters import Cursor, SearchText
from bffs.web.drawing import draw
from bffs.web.store import Store
from bffs.web.views import SearchPage

__all__ = ["router"]

router = APIRouter(route_class=StrictRoute)


@router.get("/", response_class=HTMLResponse)
async def home_page(
    viewer: Viewer, store: Store, request: Request, query: SearchText = "", cursor: Cursor = None
) -> Response:
    """What fits the query, or everything, 24 at a time."""
    async with Composition() as page:
        found = page.required("results", store.catalog.search(query, cursor=cursor, limit=24))

    return draw(request, "home.html", viewer, page=SearchPage.draw(found.value), query=query)
