"""The authorisation matrix, made from the routes: every route, WebSockets too, with no token,
expired, wrong tenant, and each role, in the whole organisation or in one workspace of it."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from asgi import SWITCHED, ask, dialled
from fastapi.routing import APIRoute, APIWebSocketRoute
from master_world import Answer, World
from waiting import until_async

from headgate.master.access import ROLE_NAMES, RULES, Permission, Place, Role, Rule
from headgate.master.api.rates import Rates
from headgate.master.api.routing import PREFIX, permission_of
from headgate.master.domains.events import stream
from headgate.master.domains.sessions.throttle import Throttle
from headgate.master.domains.tokens import service as tokens
from headgate.master.domains.tokens.types import HeldToken
from headgate.master.domains.workspaces import store as workspaces
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction

_VALUES = {"organisation": "main", "kind": "routes"}
_TENANTS = {Place.ORGANISATION, Place.WORKSPACE}
_SOCKET = "SOCKET"
_HIDDEN = re.compile(r'no (organisation "main"|workspace "(default|attic)") here')


class Tried(NamedTuple):
    """A route, with a path that names a tenant of the test, and what it needs."""

    method: str
    path: str
    rule: Rule


@dataclass(frozen=True)
class Identity:
    """Somebody who asks, with their roles in the organisation `main`, and in its workspaces."""

    name: str
    secret: str | None
    whole: Role | None = None
    default: Role | None = None
    is_stranger: bool = False

    def role_in(self, workspace: str) -> Role | None:
        """The highest role that counts in a workspace."""
        own = self.default if workspace == "default" else None
        return max((one for one in (self.whole, own) if one is not None), default=None)


def routes(world: World, workspace: str = "default") -> list[Tried]:
    """Every route of the API; the last one is that which ends the session of who asks."""
    values = _VALUES | {"workspace": workspace}
    found = []
    for route in world.app.routes:
        if not isinstance(route, APIRoute | APIWebSocketRoute):
            continue
        if not route.path.startswith(PREFIX):
            continue
        path = re.sub(r"{(\w+)}", lambda name: values.get(name[1], "x"), route.path)
        rule = RULES[permission_of(route)]
        if rule.place in _TENANTS and f"{{{rule.place.value}}}" not in route.path:
            path += f"?{rule.place.value}={values[rule.place.value]}"
        methods = route.methods if isinstance(route, APIRoute) else {_SOCKET}
        found += [Tried(method, path.removeprefix(PREFIX), rule) for method in methods or ()]
    return sorted(found, key=lambda one: one.path == "/auth/logout")


def answer(world: World, tried: Tried, secret: str | None) -> Answer:
    """What the master answers to somebody whom nothing slows down."""
    world.master.throttle = Throttle(world.master.clock)
    world.master.rates = Rates(world.master.clock)
    if tried.method == _SOCKET:
        return world.dial(tried.path, secret)
    return world.ask(tried.method, tried.path, token=secret)


def refusal(rule: Rule, who: Identity, workspace: str) -> int | None:
    """The status with which somebody is refused; None: they are let in."""
    if who.secret is None:
        return 401
    if rule.place is Place.SELF:
        return None
    if rule.place in _TENANTS and who.is_stranger:
        return 404
    if rule.place is Place.MASTER:
        return 403  # for people only, who administrate the master
    role = who.whole if rule.place is Place.ORGANISATION else who.role_in(workspace)
    if role is None and rule.place is Place.WORKSPACE:
        return 404
    return 403 if role is None or role < rule.role else None


def outcome(tried: Tried, got: Answer) -> int | None:
    """The status of a refusal; None of who was let in, whatever came of it then."""
    if got.status in {401, 403} or got.status >= 500:
        return got.status
    if got.status == 404 and _HIDDEN.match(got["detail"]):
        return 404
    # No route but a WebSocket's switches, and that one has no other success.
    assert (got.status == SWITCHED) == (tried.method == _SOCKET), (tried, got)
    return None


def wrongs(
    world: World, whom: list[Identity], tried: list[Tried], workspace: str = "default"
) -> list[tuple[Tried, str, int | None]]:
    """Every route and everyone for whom the outcome is not what the route declares."""
    return [
        (one, who.name, found)
        for one in tried
        if one.rule.place is not Place.ANYWHERE
        for who in whom
        if (found := outcome(one, answer(world, one, who.secret)))
        != refusal(one.rule, who, workspace)
    ]


def token(world: World, admin: str, role: str, organisation: str = "main", **more: object) -> str:
    """Makes a token; returns its secret."""
    body = {"name": "-".join([role, organisation, *more]), "role": role, **more}
    made = world.ask("POST", f"/tokens?organisation={organisation}", body, admin)
    assert made.status == 201, made.text
    return made["secret"]


def room(world: World, admin: str, organisation: str, name: str) -> str:
    """Makes a workspace; returns its id."""
    made = world.ask("POST", f"/organisations/{organisation}/workspaces", {"name": name}, admin)
    assert made.status == 201, made.text
    return made["id"]


def test_every_route_lets_in_whom_it_declares(world: World) -> None:
    admin = world.set_up()
    world.ask("POST", "/organisations", {"name": "other"}, admin)
    expired = token(world, admin, "admin", days=1)
    whom = [
        Identity("nobody", None),
        Identity("a stranger", token(world, admin, "admin", "other"), is_stranger=True),
        *(Identity(name, token(world, admin, name), role) for name, role in ROLE_NAMES.items()),
    ]
    world.advance(days=1)
    tried = routes(world)
    assert len(tried) > 40
    assert not wrongs(world, whom, tried)
    gated = [one for one in tried if one.rule.place is not Place.ANYWHERE]
    assert not [one for one in gated if answer(world, one, expired).status != 401]


def test_a_role_in_a_workspace_counts_there_and_nowhere_else(world: World) -> None:
    admin = world.set_up()
    room(world, admin, "main", "attic")
    place = world.ask("GET", "/workspaces/default", token=admin)["id"]
    whom = []
    for name, role in ROLE_NAMES.items():
        person = world.invite(admin, name, name, place)
        program = token(world, admin, name, workspace=place)
        whom += [
            Identity(f"a person, {name}", person, default=role),
            Identity(f"a program, {name}", program, default=role),
        ]
    both = world.invite(admin, "both", "viewer")
    user = world.ask("GET", "/auth/me", token=both)["id"]
    grant = {"role": "admin", "workspace": place}
    assert world.ask("PUT", f"/users/{user}/role", grant, admin).status == 200
    whom.append(Identity("admin of one, viewer of all", both, Role.VIEWER, Role.ADMIN))

    elsewhere = [one for one in routes(world, "attic") if one.rule.place is Place.WORKSPACE]
    assert not wrongs(world, whom, elsewhere, "attic")
    assert not wrongs(world, whom, routes(world))


def test_websockets_are_among_the_routes_that_are_tried(world: World) -> None:
    assert {one.path: one.rule for one in routes(world) if one.method == _SOCKET} == {
        "/events?workspace=default": RULES[Permission.EVENTS_READ],
        # An agent proves itself in its first frame: see test_agents_websocket.py.
        "/fleet/session": RULES[Permission.PUBLIC],
    }


def test_a_role_counts_though_workspaces_of_other_organisations_have_the_same_name(
    world: World,
) -> None:
    admin = world.set_up()
    attic = room(world, admin, "main", "attic")
    user = world.invite(admin, "bob", "viewer", attic, "?organisation=main")
    wanted = ""
    for organisation, joined in (("second", "attic"), ("third", "default")):
        world.ask("POST", "/organisations", {"name": organisation}, admin)
        rooms = {name: room(world, admin, organisation, name) for name in ("default", "attic")}
        role = {"role": "viewer", "workspace": rooms[joined]}
        body = {"name": "bob", "is_member_elsewhere": True, **role}
        made = world.ask("POST", f"/users?organisation={organisation}", body, admin)
        assert made.status == 201, made.text
        wanted = rooms[joined]
    found = world.ask("GET", "/workspaces/default", token=user)
    assert found.status == 200, found.text
    assert found["id"] == wanted


def test_who_watches_a_workspace_proves_that_it_may_watch_that_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name goes to another workspace, in which the watcher has a role."""
    monkeypatch.setattr(stream, "_CHECKED_S", 0.01)
    admin = world.set_up()
    place = world.ask("GET", "/workspaces/default", token=admin)["id"]
    attic = room(world, admin, "main", "attic")
    watcher = token(world, admin, "viewer")

    async def swap(tx: Transaction) -> None:
        for workspace, name in ((place, "cellar"), (attic, "default")):
            found = await workspaces.find(tx, workspace)
            assert found is not None
            assert await workspaces.rename(tx, found, name)

    async def watched() -> int | None:
        headers = {"authorization": f"Bearer {watcher}"}
        async with dialled(world.app, f"{PREFIX}/events?workspace=default", headers) as socket:
            assert socket.status == SWITCHED
            await world.database.write(MASTER, swap)
            assert await socket.receive() == b""
            return socket.code

    assert world.runner.run(watched()) == 4401


def test_who_watches_a_workspace_that_used_up_its_requests_goes_on_watching(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the workspace's quota nor wrong tokens from the same address end it; the token's end
    does."""
    monkeypatch.setattr(stream, "_CHECKED_S", 0.01)
    admin = world.set_up()
    made = world.ask("POST", "/tokens", {"name": "eye", "role": "viewer"}, admin)
    watching, wrong, ending = (
        {"authorization": f"Bearer {one}"} for one in (made["secret"], "hgt_wrong", admin)
    )
    proofs = 0
    look = tokens.held

    async def counted(tx: Transaction, secret: str) -> HeldToken | None:
        nonlocal proofs
        proofs += 1
        return await look(tx, secret)

    async def watched() -> int | None:
        async with dialled(world.app, f"{PREFIX}/events?workspace=default", watching) as socket:
            assert socket.status == SWITCHED
            for headers in (watching, wrong):
                path = f"{PREFIX}/workspaces/default"
                while (await ask(world.app, "GET", path, headers=headers)).status != 429:
                    pass
            monkeypatch.setattr(tokens, "held", counted)
            await until_async(lambda: proofs > 2 or not socket.from_app.empty(), "proofs")
            assert socket.from_app.empty()
            await ask(world.app, "DELETE", f"{PREFIX}/tokens/{made['id']}", headers=ending)
            assert await socket.receive() == b""
            return socket.code

    place = world.ask("GET", "/workspaces/default", token=admin)
    path = f"/organisations/main/workspaces/{place['id']}/quotas"
    few = world.ask("PATCH", path, {"requests_per_minute": 60}, admin)
    assert few.status == 200, few.text
    assert world.runner.run(watched()) == 4401
