"""The handlers for monitoring of any process that serves, and the form of all answers."""

from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from headgate.kernel.openmetrics import CLASSIC, CONTENT_TYPES, classic, wanted


def json(document: msgspec.Struct, status: int = 200) -> Response:
    """Returns an answer with a JSON document."""
    return Response(msgspec.json.encode(document), status, media_type="application/json")


class Monitoring(Protocol):
    """The handlers that change nothing; whoever serves adds what it knows."""

    def open_routes(self) -> list[Route]:
        """Returns the routes that monitoring needs; they change nothing."""
        return [
            Route("/live", self.live),
            Route("/ready", self.ready),
            Route("/health", self.health),
            Route("/metrics", self.metrics),
        ]

    async def live(self, _request: Request) -> Response:
        """Answers while this process runs."""
        return PlainTextResponse("ok\n")

    async def ready(self, _request: Request) -> Response:
        """Returns 200 while new traffic is welcome; 503 with the reason otherwise."""
        ...

    async def health(self, _request: Request) -> Response:
        """Returns every endpoint's state; 503 only without a data plane."""
        ...

    async def page(self) -> bytes:
        """Returns the metrics page in OpenMetrics text."""
        ...

    async def metrics(self, request: Request) -> Response:
        """Returns the metrics page, in the format that the client accepts."""
        page = await self.page()
        form = wanted(", ".join(request.headers.getlist("accept")))
        headers = {"content-type": CONTENT_TYPES[form], "vary": "accept"}
        return Response(classic(page) if form == CLASSIC else page, headers=headers)
