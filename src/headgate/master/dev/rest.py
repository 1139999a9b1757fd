"""The REST side of the master in memory: enrolment, and what `headgate dev` asks it."""

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import asdict

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from headgate.kernel.errors import Invalid
from headgate.master.dev.timings import Timings
from headgate.master.fleet import enrolment, websocket
from headgate.master.fleet.book import EnrolmentRefusedError
from headgate.master.fleet.hub import LiveHub
from headgate.master.fleet.memory_book import MemoryBook

Publish = Callable[[bool], int]
"""Publishes again, complete or as a difference; returns the revision."""
_Answer = Callable[[Request], Awaitable[Response]]


def application(book: MemoryBook, hub: LiveHub, publish: Publish) -> Starlette:
    """Returns the ASGI application."""

    async def authorities(_: Request) -> Response:
        return Response(book.authorities.pem, media_type="application/x-pem-file")

    async def enrol(request: Request) -> Response:
        client = request.client.host if request.client else ""
        return _json(await enrolment.enrol(book, await _body(request), client))

    async def renew(request: Request) -> Response:
        return _json(await enrolment.renew(book, await _body(request), book.trusted(), _now))

    async def publish_again(request: Request) -> Response:
        return _json({"revision": publish("complete" in request.query_params)})

    async def timings(_: Request) -> Response:
        return _json(asdict(Timings.of(book)))

    async def door(socket: WebSocket) -> None:
        await websocket.WebSocketDoor(hub, book.trusted, _now)(socket, lambda: None)

    return Starlette(
        routes=[
            Route(enrolment.AUTHORITIES_PATH, authorities),
            Route(enrolment.ENROLMENT_PATH, _guarded(enrol), methods=["POST"]),
            Route(enrolment.RENEWAL_PATH, _guarded(renew), methods=["POST"]),
            WebSocketRoute(websocket.PATH, door),
            Route("/dev/publish", publish_again, methods=["POST"]),
            Route("/dev/timings", timings),
        ]
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


async def _body(request: Request) -> bytes:
    """Returns the body. Raises Invalid for one that is too large, before it is read."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > enrolment.MAX_BODY:
            raise Invalid("the body is too large", f"at most {enrolment.MAX_BODY} bytes")
    return body


def _guarded(answer: _Answer) -> _Answer:
    async def guarded(request: Request) -> Response:
        try:
            return await answer(request)
        except Invalid as error:
            return _problem(422, "invalid", str(error))
        except EnrolmentRefusedError as error:
            return _problem(401, error.code, str(error))

    return guarded


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _problem(status: int, code: str, detail: str) -> Response:
    body = {"type": f"urn:headgate:{code}", "title": code, "status": status, "detail": detail}
    return Response(
        msgspec.json.encode(body), status_code=status, media_type="application/problem+json"
    )
