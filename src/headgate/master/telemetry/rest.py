"""Counts the requests to the REST API by route and status, and how long each took."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headgate.kernel.durations import Durations

NO_ROUTE: Final = "(none)"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FAILED: Final = 500


@dataclass
class RestCounts:
    """The counts of requests: bounded, since routes and methods are few."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """By method, path of the route as it is declared, and status."""
    durations: dict[tuple[str, str], Durations] = field(default_factory=dict)
    """By method and path."""
    in_progress: int = 0

    def done(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts a request that was answered."""
        method = method if method in _METHODS else "OTHER"
        self.requests[method, route, status] += 1
        self.durations.setdefault((method, route), Durations()).record(seconds)

    def of(self, method: str, route: str) -> dict[int, int]:
        """Returns how often a route answered with each status."""
        found = self.requests.items()
        return {status: n for (m, r, status), n in found if (m, r) == (method, route)}


class Counting:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, counts: RestCounts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = _FAILED
        began = time.monotonic()

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._counts.in_progress += 1
        try:
            await self._app(scope, receive, seen)
        finally:
            self._counts.in_progress -= 1
            # What a client made up names no route, so that nobody makes new series.
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self._counts.done(scope["method"], route, status, time.monotonic() - began)
