"""The REST application: the routes of every noun behind the gate."""

import inspect
from functools import cache
from http import HTTPStatus

from fastapi import APIRouter, FastAPI
from fastapi.datastructures import Default
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from headgate.master.access import Permission
from headgate.master.api import problems
from headgate.master.api.gate import GatedRoute
from headgate.master.api.routing import PREFIX, Operation, check
from headgate.master.domains.enrolment.stream import session
from headgate.master.domains.events.stream import events
from headgate.master.domains.registry import NOUNS
from headgate.master.fleet.websocket import PATH as SESSION_PATH
from headgate.master.reference_page import PATH as REFERENCE_PATH
from headgate.master.reference_page import reference_page
from headgate.master.services import Master
from headgate.master.setup_page import setup_page
from headgate.master.telemetry.rest import Counting, RestCounts

MOST_BODY = 1 << 20
_ABOUT = (
    "Manages fleets of headgate nodes. Failures are problem documents (RFC 9457); lists are"
    " continued with `cursor`; changes take `If-Match` and `Idempotency-Key`."
)


def application(master: Master | None, version: str) -> FastAPI:
    """Returns the application; raises UndeclaredRouteError for a route without a permission.

    Without a master it answers nothing, and serves to write its OpenAPI page.
    """
    app = FastAPI(
        title="headgate master",
        version=version,
        description=_ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        routes=list(_routes()),
        max_body_size=MOST_BODY,
    )
    app.state.master = master
    app.add_middleware(Counting, counts=master.rest if master is not None else RestCounts())
    problems.install(app)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    check(app)
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """Returns every route; none knows its application, so that all applications have the same."""
    router = APIRouter(route_class=GatedRoute, max_body_size=MOST_BODY)
    for noun in NOUNS:
        for operation in noun.operations:
            _add(router, operation, noun.noun)
    _add(router, Operation("GET", "/openapi.json", Permission.PUBLIC, _page, 200, False), "about")
    _add(router, Operation("GET", "/health", Permission.PUBLIC, _health, 200, False), "about")
    router.add_api_websocket_route(f"{PREFIX}/events", events)
    router.add_api_websocket_route(SESSION_PATH, session)
    for path, page in (("/setup", setup_page), (REFERENCE_PATH, reference_page)):
        router.add_api_route(
            path,
            page,
            include_in_schema=False,
            openapi_extra={"x-permission": Permission.PUBLIC.value},
        )
    return tuple(router.routes)


def _add(router: APIRouter, operation: Operation, noun: str) -> None:
    extra: dict[str, object] = {"x-permission": operation.permission.value}
    if operation.has_secret:
        extra["x-has-secret"] = True
    if operation.permission is not Permission.PUBLIC:
        extra["security"] = [{"token": []}]
    router.add_api_route(
        PREFIX + operation.path,
        operation.endpoint,
        methods=[operation.method],
        status_code=operation.status,
        tags=[noun],
        operation_id=getattr(operation.endpoint, "__name__", "").strip("_"),
        openapi_extra=extra,
        responses=problems.documented(),
        response_description=HTTPStatus(operation.status).phrase,
        response_class=_answers_with(operation),
        response_model=Default(None) if operation.body is None else operation.body,
    )


def _answers_with(operation: Operation) -> type[Response]:
    """Returns the kind of answer that an endpoint says it returns; JSON for objects.

    Only as a default it lets FastAPI write the JSON without objects of Python between.
    """
    if operation.body is not None:
        return Default(JSONResponse)
    found = inspect.signature(operation.endpoint).return_annotation
    is_own = isinstance(found, type) and issubclass(found, Response) and found.media_type
    return found if is_own else Default(JSONResponse)


async def _page(request: Request) -> JSONResponse:
    """Returns this page."""
    return JSONResponse(request.app.openapi())


async def _health(request: Request) -> JSONResponse:
    """Answers 200 while the master can read its database."""
    master: Master = request.app.state.master
    await master.database.ping()
    return JSONResponse({"status": "ok"})


def document(app: FastAPI) -> dict[str, object]:
    """Returns the OpenAPI page."""
    if app.openapi_schema:
        return app.openapi_schema
    page = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    components = page.setdefault("components", {})
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schemas = components.setdefault("schemas", {})
    problem = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    components["responses"] = problems.shared(page)
    app.openapi_schema = page
    return page
