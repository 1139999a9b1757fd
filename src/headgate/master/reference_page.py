"""The page that documents the REST API: generated with the program, without scripts or internet."""

from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

PATH: Final = "/docs"
_HEADERS: Final = {
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
}


@cache
def html() -> str:
    """Returns the page."""
    return (files("headgate.master") / "reference_page.html").read_text(encoding="utf-8")


async def reference_page(_request: Request) -> Response:
    """Shows the reference of the REST API."""
    return HTMLResponse(html(), headers=_HEADERS)
