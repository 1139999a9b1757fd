"""Requests are counted by route and status; nobody outside makes series."""

import contextlib

import loops
from asgi import ask
from fastapi import FastAPI, HTTPException

from headgate.master.telemetry.rest import NO_ROUTE, Counting, RestCounts


def application(counts: RestCounts) -> FastAPI:
    app = FastAPI()
    app.add_middleware(Counting, counts=counts)

    @app.get("/things/{name}")
    async def thing(name: str) -> str:
        assert counts.in_progress == 1
        if name == "none":
            raise HTTPException(404)
        if name == "broken":
            raise RuntimeError(name)
        return name

    return app


def test_requests_are_counted_by_route_and_status() -> None:
    counts = RestCounts()
    app = application(counts)
    for path in ("/things/a", "/things/b", "/things/none", "/elsewhere/1", "/elsewhere/2"):
        loops.run(ask(app, "GET", path))
    loops.run(ask(app, "BREW", "/things/a"))
    route = "/things/{name}"
    assert counts.requests == {
        ("GET", route, 200): 2,
        ("GET", route, 404): 1,
        ("GET", NO_ROUTE, 404): 2,
        ("OTHER", route, 405): 1,
    }
    assert counts.of("GET", route) == {200: 2, 404: 1}
    assert counts.durations["GET", route].buckets().total > 0
    assert counts.in_progress == 0


def test_a_handler_that_breaks_is_counted_as_failed() -> None:
    counts = RestCounts()
    with contextlib.suppress(RuntimeError):
        loops.run(ask(application(counts), "GET", "/things/broken"))
    assert counts.requests == {("GET", "/things/{name}", 500): 1}
    assert counts.in_progress == 0
