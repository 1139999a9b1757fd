"""Holds the routes of the admin API; other modules build the documents."""

import re
from collections.abc import AsyncIterator

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from headgate.engines.types import EngineUnavailableError
from headgate.node import metrics, report
from headgate.node.about import Done, EndpointOrder, Problem
from headgate.node.admin.guard import Guard
from headgate.node.admin.monitoring import Monitoring, json
from headgate.node.admin.tap import tap
from headgate.node.events import Line
from headgate.node.explain import Explainer, ExplainError
from headgate.node.link import LinkError
from headgate.node.results import Outcome, ReloadResult
from headgate.node.state import Node

_MAX_BODY = 256 * 1024
_STATUS = {
    Outcome.APPLIED: 200,
    Outcome.UNCHANGED: 200,
    Outcome.REFUSED: 422,
    Outcome.FAILED: 503,
}


def admin_app(node: Node) -> Starlette:
    """Returns the whole API, for the Unix socket and, behind `Gate`, for loopback."""
    api = Api(node)
    return Starlette(
        routes=[
            *api.open_routes(),
            Route("/status", api.status),
            Route("/config", api.config),
            Route("/events", api.events),
            Route("/tap", api.tap),
            Route("/reload", api.reload, methods=["POST"]),
            Route("/drain", api.drain, methods=["POST"]),
            Route("/explain", api.explain, methods=["POST"]),
            Route("/endpoint", api.endpoint, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, names=node.options.admin_hosts)],
    )


def metrics_app(node: Node) -> Starlette:
    """Returns health and metrics alone, for an address that others may reach."""
    return Starlette(
        routes=Api(node).open_routes(),
        middleware=[Middleware(Guard, names=node.options.admin_hosts)],
    )


async def _body(request: Request) -> bytes | None:
    """Returns the body of a request; None when it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            return None
    return bytes(body)


class Api(Monitoring):
    """The handlers."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._explainer = Explainer(node)

    async def ready(self, _request: Request) -> Response:
        """Returns 200 while new traffic is welcome; 503 with the reason otherwise."""
        is_ready, reason = self._node.readiness()
        return PlainTextResponse(f"{reason}\n", 200 if is_ready else 503)

    async def health(self, _request: Request) -> Response:
        """Returns every endpoint's state; 503 only without a data plane."""
        document = await report.health(self._node)
        return json(document, 503 if document.status == "down" else 200)

    async def page(self) -> bytes:
        """Returns the metrics page in OpenMetrics text."""
        return await metrics.page(self._node)

    async def status(self, _request: Request) -> Response:
        """Returns the processes, the served plan, and the result of the last reload."""
        return json(await report.status(self._node))

    async def config(self, _request: Request) -> Response:
        """Returns the served plan."""
        document = report.config(self._node)
        if document is None:
            return json(Problem("no config was served by this control process yet"), 503)
        return json(document)

    async def reload(self, _request: Request) -> Response:
        """Reads the config again; returns 422 with all diagnostics when it is refused."""
        result: ReloadResult = await self._node.pipeline.reload("request")
        return json(result, _STATUS[result.outcome])

    async def drain(self, _request: Request) -> Response:
        """Drains the node and ends it."""
        try:
            await self._node.link.drain()
        except LinkError as error:
            return json(Problem(str(error)), 503)
        return json(Done(), 202)

    async def explain(self, request: Request) -> Response:
        """Returns which route a request would take, and why."""
        body = await _body(request)
        if body is None:
            return json(Problem(f"at most {_MAX_BODY} bytes"), 413)
        try:
            answer = await self._explainer.explain(body)
        except ExplainError as error:
            return json(Problem(str(error)), error.status)
        return Response(answer, media_type="application/json")

    async def endpoint(self, request: Request) -> Response:
        """Orders one endpoint to be ready, to drain or to be in maintenance; kept over restarts."""
        body = await _body(request)
        if body is None:
            return json(Problem(f"at most {_MAX_BODY} bytes"), 413)
        try:
            order = msgspec.json.decode(body, type=EndpointOrder)
        except ValueError as wrong:
            return json(Problem(str(wrong)), 400)
        try:
            error = await self._node.serving.set_endpoint(
                order.upstream, order.endpoint, order.state
            )
        except EngineUnavailableError as away:
            return json(Problem(str(away)), 503)
        return json(Problem(error), 422) if error else json(Done())

    async def tap(self, request: Request) -> Response:
        """Returns requests as they end, by a filter, until the client goes."""
        return await tap(self._node, request)

    async def events(self, request: Request) -> Response:
        """Returns the last events and then new ones, as JSON lines or, on request,
        server-sent events.

        `?after=SEQ`, or the header that a browser sends, goes on after that event;
        `?follow=false` ends after the kept ones.
        """
        sse = "text/event-stream" in request.headers.get("accept", "")
        follow = request.query_params.get("follow", "true") not in {"0", "false", "no"}
        after = request.query_params.get("after", request.headers.get("last-event-id", "0"))
        if not re.fullmatch("[0-9]{1,18}", after):
            return json(Problem(f'"{after}" is not the number of an event; write its `seq`'), 400)
        kind = "text/event-stream" if sse else "application/jsonl"
        headers = {"content-type": kind, "cache-control": "no-store"}
        lines = self._event_lines(int(after), follow=follow)
        return StreamingResponse(_as_sse(lines) if sse else _as_lines(lines), headers=headers)

    async def _event_lines(self, after: int, *, follow: bool) -> AsyncIterator[Line]:
        if not follow:
            for line in self._node.events.kept(after):
                yield line
            return
        async for line in self._node.events.follow(after):
            yield line


async def _as_lines(events: AsyncIterator[Line]) -> AsyncIterator[bytes]:
    async for one in events:
        yield one.json + b"\n"


async def _as_sse(events: AsyncIterator[Line]) -> AsyncIterator[bytes]:
    async for one in events:
        yield b"id: %d\ndata: %b\n\n" % one
