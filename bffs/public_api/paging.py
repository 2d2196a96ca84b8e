"""Pages of lists: a cursor for the next one, in a ``Link`` (RFC 8288)."""

from urllib.parse import urlencode

from fastapi import Request, Response

__all__ = ["LINK", "link_to_next"]

LINK = {"Link": {"description": 'The next page, with `rel="next"`, where there is one.', "schema": {"type": "string"}}}
"""For the documentation of a route that pages."""


def link_to_next(request: Request, response: Response, cursor: str | None) -> None:
    """Let the reply say where the list goes on, if it does. Relative, so that it holds behind any host."""
    if cursor is not None:
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        target = f"{request.url.path}?{urlencode([*query, ('cursor', cursor)])}"
        response.headers["link"] = f'<{target}>; rel="next"'
