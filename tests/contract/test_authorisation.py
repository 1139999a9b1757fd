"""The authorisation matrix, made from the routes: every route with no token, expired,
wrong tenant, and each role."""

import re

from fastapi.routing import APIRoute
from master_world import World

from headgate.master.access import ROLE_NAMES, RULES, Place, Role
from headgate.master.api.routing import PREFIX, permission_of
from headgate.master.domains.sessions.throttle import Throttle

_VALUES = {"workspace": "default", "organisation": "main", "kind": "routes"}
_TENANTS = {Place.ORGANISATION, Place.WORKSPACE}


def routes(world: World) -> list[tuple[str, str, APIRoute]]:
    """Every REST route, with a path that names the tenant of the test."""
    found = []
    for route in world.app.routes:
        if isinstance(route, APIRoute) and route.path.startswith(PREFIX):
            path = re.sub(r"{(\w+)}", lambda name: _VALUES.get(name[1], "x"), route.path)
            if RULES[permission_of(route)].place is Place.ORGANISATION and "main" not in path:
                path += "?organisation=main"
            found += [(method, path.removeprefix(PREFIX), route) for method in route.methods or ()]
    return found


def token(world: World, admin: str, name: str, role: str, query: str, days: int = 90) -> str:
    body = {"name": name, "role": role, "days": days}
    made = world.ask("POST", f"/tokens?organisation={query}", body, admin)
    assert made.status == 201, made.text
    return made["secret"]


def test_every_route_lets_in_whom_it_declares(world: World) -> None:
    admin = world.set_up()
    world.ask("POST", "/organisations", {"name": "other"}, admin)
    expired = token(world, admin, "old", "admin", "main", days=1)
    foreign = token(world, admin, "foreign", "admin", "other")
    roles = {ROLE_NAMES[name]: token(world, admin, name, name, "main") for name in ROLE_NAMES}
    world.advance(days=1)

    def status(method: str, path: str, secret: str | None) -> int:
        world.master.throttle = Throttle(world.master.clock)
        return world.ask(method, path, token=secret).status

    wrong: list[tuple[str, str, str, object]] = []
    for method, path, route in routes(world):
        rule = RULES[permission_of(route)]
        if rule.place is Place.ANYWHERE:
            continue
        seen = [status(method, path, None), status(method, path, expired)]
        if seen != [401, 401]:
            wrong.append((method, path, "no token or an expired one", seen))
        if rule.place in _TENANTS and (found := status(method, path, foreign)) != 404:
            wrong.append((method, path, "another tenant", found))
        for role, secret in roles.items():
            found = status(method, path, secret)
            may = _may(rule.place, rule.role, role)
            if may == (found in {401, 403}) or found >= 500:
                wrong.append((method, path, role.name, found))
    assert not wrong
    assert len(routes(world)) > 40


def _may(place: Place, least: Role, role: Role) -> bool:
    if place is Place.MASTER:
        return False  # for people only; no token has it
    return place is Place.SELF or role >= least
