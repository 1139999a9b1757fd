"""`error_pages` in nginx: refused so far."""

from typing import Final

from headgate.features.middleware.error_pages.spec import ErrorPagesNode
from headgate.features.nginx import About, Parity
from headgate.features.nginx_chain import Chain

_WHY: Final = "headgate renders no `error_page` of a config; use the native engine"

PARITY: Final = tuple(
    Parity(f"middlewares.NAME.error_pages.pages[].{key}", "no", _WHY)
    for key in ("statuses", "body.file", "content_type")
)


def apply(node: ErrorPagesNode, chain: Chain, about: About) -> None:
    """Refuses the middleware."""
    about.refuse("", _WHY)
