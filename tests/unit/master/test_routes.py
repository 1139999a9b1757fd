"""Every route declares what it needs; the application refuses to exist otherwise."""

from pathlib import Path

import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute

import headgate.master.domains
from headgate.master.access import RULES, Permission, Place
from headgate.master.api.routing import UndeclaredRouteError, check, permission_of
from headgate.master.application import application
from headgate.master.domains.registry import NOUNS


def test_every_route_passes_the_gate_with_a_declared_permission() -> None:
    app = application(None, "0")
    routes = [one for one in app.routes if isinstance(one, APIRoute)]
    assert len(routes) > 20
    for route in routes:
        rule = RULES[permission_of(route)]
        if rule.place is Place.WORKSPACE:
            assert "{workspace}" in route.path, route.path


def test_a_route_without_a_permission_stops_the_start() -> None:
    app = application(None, "0")

    async def bare() -> None: ...

    app.add_api_route("/bare", bare)
    with pytest.raises(UndeclaredRouteError, match="/bare"):
        check(app)


def test_a_route_of_another_kind_stops_the_start() -> None:
    app = application(None, "0")
    app.add_route("/plain", lambda _request: None, ["GET"])  # type: ignore[arg-type,return-value]
    with pytest.raises(UndeclaredRouteError, match="/plain"):
        check(app)


def test_applications_have_the_same_routes_and_what_one_gets_the_others_have_not() -> None:
    one, other = application(None, "0"), application(None, "0")
    gated = [route for route in one.routes if isinstance(route, APIRoute)]
    assert all(route in other.routes for route in gated)

    async def late() -> None: ...

    one.add_api_route("/late", late)
    assert "/late" not in {getattr(route, "path", "") for route in other.routes}


def test_only_these_routes_are_open_to_everyone() -> None:
    app = application(None, "0")
    found = {
        route.path
        for route in app.routes
        if isinstance(route, APIRoute | APIWebSocketRoute)
        and permission_of(route) is Permission.PUBLIC
    }
    assert found == {
        "/setup",
        "/docs",
        "/api/v1/health",
        "/api/v1/openapi.json",
        "/api/v1/auth/setup",
        "/api/v1/auth/login",
        "/api/v1/auth/refresh",
        # What a node proves there is in the body.
        "/api/v1/enrolment/authorities",
        "/api/v1/enrolment",
        "/api/v1/enrolment/renewal",
        # What an agent proves there is in its first frame.
        "/api/v1/fleet/session",
        "/api/v1/enrolment/data-plane",
        "/api/v1/enrolment/data-plane/renewal",
        "/api/v1/enrolment/peer",
    }


def test_every_permission_has_a_rule() -> None:
    assert set(RULES) == set(Permission)


def test_every_noun_is_in_the_registry() -> None:
    root = Path(headgate.master.domains.__file__).parent
    folders = {one.parent.name for one in root.glob("*/routes.py")}
    modules = {one.operations[0].endpoint.__module__.split(".")[-2] for one in NOUNS}
    assert modules == folders
