"""A page that goes on to another by itself.

Not a redirect, where one would not do: a browser that another site has sent here shows no ``SameSite=Strict`` cookie to
where it is redirected, and follows no form to another site than ``form-action`` names.
"""

from html import escape
from typing import Final

from fastapi.responses import HTMLResponse

__all__ = ["moving_on"]

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url={url}">
<title>{title}</title>
</head>
<body>
<p>{title} <a href="{url}">Go on</a></p>
</body>
</html>
"""


def moving_on(url: str, title: str, *cookies: str) -> HTMLResponse:
    """It goes to ``url`` at once, and says ``title`` where that takes long; with these values for ``Set-Cookie``."""
    response = HTMLResponse(_PAGE.format(url=escape(url), title=escape(title)), headers={"cache-control": "no-store"})
    for cookie in cookies:
        response.headers.append("set-cookie", cookie)
    return response
