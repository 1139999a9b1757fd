"""Limits an address that every local user can reach to health and metrics,
unless a token is shown.
"""

import hmac
from collections.abc import Callable
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN: Final = ("/live", "/ready", "/health", "/metrics")
"""Paths that monitoring needs; they change nothing and show no config."""

_WHY: Final = (
    "this address answers only /live, /ready, /health and /metrics without a token; use the "
    "node's Unix socket (admin.sock in its state directory), or set node.admin_token and send "
    '"Authorization: Bearer TOKEN"'
)


class Gate:
    """Answers 401 to everything else, unless the request has the token."""

    def __init__(self, app: ASGIApp, token: Callable[[], str | None]) -> None:
        """`token`: the token that requests must show; None = no request is allowed."""
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes allowed requests on."""
        if scope["type"] != "http" or scope["path"] in OPEN or self._is_shown(scope):
            await self._app(scope, receive, send)
            return
        headers = {"www-authenticate": "Bearer"}
        await JSONResponse({"error": _WHY}, 401, headers)(scope, receive, send)

    def _is_shown(self, scope: Scope) -> bool:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        shown = [value for name, value in headers if name == b"authorization"]
        token = self._token()
        if token is None or len(shown) != 1:
            return False
        scheme, _, given = shown[0].partition(b" ")
        # Constant time does not tell how much of it is right.
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), token.encode())
