"""Versions and ETags: what a change is compared with, and when a read has nothing new to show."""

import asyncio
import json
import sys

import pytest
from asgi import ask
from master_world import LISTENER, ROUTE, UPSTREAM, Answer, World
from peopled_fleet import Fleet, W
from waiting import DEADLINE_S

DOMAINS = "headgate.master.domains"
TEMPLATE = {
    "parameters": {"host": {"type": "host"}},
    "objects": [{"kind": "upstreams", "name": "of-{{ host }}", "spec": UPSTREAM}],
}
CHANGE = {"kind": "upstreams", "name": "api", "spec": UPSTREAM}
Request = tuple[str, str, object]
"""The method, the path and the body."""


class Members:
    """An organisation whose administrators change the roles of its member bob."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admin = world.set_up()
        world.invite(self.admin, "bob", "operator")
        items = world.ask("GET", "/users?name_prefix=bob", token=self.admin).items
        self.path = f"/users/{items[0]['id']}"

    def get(self, **headers: str) -> Answer:
        """The member."""
        return self.world.ask("GET", self.path, token=self.admin, **headers)

    def put(self, role: str, **headers: str) -> Answer:
        """Gives the member a role in the organisation."""
        return self.world.ask("PUT", f"{self.path}/role", {"role": role}, self.admin, **headers)


@pytest.fixture
def members(world: World) -> Members:
    """The organisation."""
    return Members(world)


def test_a_role_is_changed_for_the_version_that_was_seen(members: Members) -> None:
    seen = members.get()
    lesser = members.put("viewer", if_match=seen.headers["etag"])
    assert lesser.status == 200, lesser.text
    assert lesser["version"] > seen["version"]
    late = members.put("admin", if_match=seen.headers["etag"])
    assert (late.status, late.json["current"]) == (412, members.get().json)
    gone = members.world.ask(
        "DELETE", members.path, token=members.admin, if_match=seen.headers["etag"]
    )
    assert gone.status == 412
    assert members.put("admin", if_match=lesser.headers["etag"]).status == 200


def test_a_role_in_a_workspace_is_a_change_of_the_user_as_well(members: Members) -> None:
    seen = members.get()
    place = members.world.ask("GET", W, token=members.admin)["id"]
    grant = {"role": "admin", "workspace": place}
    given = members.world.ask("PUT", f"{members.path}/role", grant, members.admin)
    assert given["version"] > seen["version"]
    assert members.put("viewer", if_match=seen.headers["etag"]).status == 412


def at_once(
    world: World, asked: str, token: str, version: str, requests: list[Request]
) -> list[int]:
    """Sends changes of one version, none of which goes on before each has asked for the object
    with the function `asked`; returns their statuses, sorted."""
    module, _, name = asked.rpartition(".")
    original = getattr(sys.modules[module], name)
    begun: list[object] = []
    all_begun = asyncio.Event()

    async def together(*given: object, **more: object) -> object:
        begun.append(given)
        if len(begun) == len(requests) or not world.url:  # SQLite's writers take turns
            all_begun.set()
        found = await original(*given, **more)
        async with asyncio.timeout(DEADLINE_S):
            await all_begun.wait()
        return found

    async def one(method: str, path: str, body: object) -> int:
        headers = {"authorization": f"Bearer {token}", "if-match": f'"{version}"'}
        if body is not None:
            headers["content-type"] = "application/json"
        raw = b"" if body is None else json.dumps(body).encode()
        return (await ask(world.app, method, f"/api/v1{path}", raw, headers)).status

    async def work() -> list[int]:
        return sorted(await asyncio.gather(*(one(*request) for request in requests)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asked, together)
        return world.runner.run(work())


def test_of_changes_of_a_role_at_the_same_moment_one_is_made(members: Members) -> None:
    version = members.get()["version"]
    path = f"{members.path}/role"
    requests: list[Request] = [("PUT", path, {"role": role}) for role in ("viewer", "admin")]
    asked = f"{DOMAINS}.users.store.account"
    assert at_once(members.world, asked, members.admin, version, requests) == [200, 412]


def test_an_invitation_shows_the_version_that_a_change_is_compared_with(world: World) -> None:
    admin = world.set_up()
    made = world.ask("POST", "/users", {"name": "bob", "role": "viewer"}, admin)
    path = f"/users/{made['id']}/role"
    assert (
        world.ask("PUT", path, {"role": "admin"}, admin, if_match=made.headers["etag"]).status
        == 200
    )


def unchanged(world: World, path: str, token: str) -> str:
    """Reads the object, sees that another read gets 304, and returns its ETag."""
    etag = world.ask("GET", path, token=token).headers["etag"]
    again = world.ask("GET", path, token=token, if_none_match=etag)
    assert (again.status, again.text, again.headers["etag"]) == (304, "", etag)
    return etag


def changed(world: World, path: str, token: str, etag: str) -> Answer:
    """Reads the object, which is not what the ETag was for."""
    found = world.ask("GET", path, token=token, if_none_match=etag)
    assert found.status == 200, found.headers
    assert found.headers["etag"] != etag
    return found


def test_a_user_with_another_role_is_not_unchanged(members: Members) -> None:
    etag = unchanged(members.world, members.path, members.admin)
    members.put("viewer")
    found = changed(members.world, members.path, members.admin, etag)
    assert found.json["grants"] == [{"workspace": "", "role": "viewer"}]


def test_quotas_of_which_more_is_used_are_not_unchanged(world: World) -> None:
    admin = world.set_up()
    etag = unchanged(world, f"{W}/quotas", admin)
    assert world.ask("POST", f"{W}/fleets", {"name": "edge"}, admin).status == 201
    found = changed(world, f"{W}/quotas", admin, etag)
    assert found.json["used"] == {"routes": 0, "fleets": 1, "agents": 0, "tokens": 0}


def test_a_fleet_with_another_revision_is_not_unchanged(world: World) -> None:
    admin = world.set_up()
    world.ask("POST", f"{W}/fleets", {"name": "edge"}, admin)
    etag = unchanged(world, f"{W}/fleets/edge", admin)
    specs = {"listeners/web": LISTENER, "upstreams/api": UPSTREAM, "routes/api": ROUTE}
    for name, spec in specs.items():
        put = world.ask("PUT", f"{W}/resources/{name}", {"spec": spec}, admin)
        assert put.status == 200, put.text
    new = {"fleet": "edge", "message": "first"}
    assert world.ask("POST", f"{W}/revisions", new, admin).status == 201
    found = changed(world, f"{W}/fleets/edge", admin, etag)
    assert found.json["revision"] == 1
    # Nobody changed the fleet itself meanwhile, so a change for what was read before is made.
    labels = {"labels": {"zone": "east"}}
    path = f"{W}/fleets/edge"
    assert world.ask("PATCH", path, labels, admin, if_match=etag).status == 200
    late = world.ask("PATCH", path, labels, admin, if_match=found.headers["etag"])
    assert late.status == 412


def test_an_agent_that_reported_is_not_unchanged(world: World) -> None:
    fleet = Fleet(world)
    agent = fleet.enrolled(fleet.token()).agent
    path = f"{W}/agents/{agent}"
    etag = unchanged(world, path, fleet.admin)
    fleet.joined(agent)
    found = changed(world, path, fleet.admin, etag)
    assert found["state"] == "connected"
    world.advance(minutes=5)
    assert changed(world, path, fleet.admin, found.headers["etag"])["state"] == "away"
    labels = {"labels": {"zone": "east"}}
    assert world.ask("PATCH", path, labels, fleet.admin, if_match=etag).status == 200
    assert world.ask("PATCH", path, labels, fleet.admin, if_match=etag).status == 412


def test_the_number_alone_is_an_etag_to_compare_with(members: Members) -> None:
    version = members.get()["version"]
    assert members.get(if_none_match=f'"{version}"').status == 200
    assert members.put("viewer", if_match=f'"{version}-1"').status == 422
    assert members.put("viewer", if_match=f'W/"{version}"').status == 200


NAMED: dict[str, tuple[str, object]] = {
    "secrets/a.key": ("PUT", {"content": "1"}),
    "resources/upstreams/api": ("PUT", {"spec": UPSTREAM}),
    "templates/site": ("PUT", TEMPLATE),
    "virtual-hosts/shop": ("PUT", {"template": "web", "values": {"host": "shop.example"}}),
    "drafts/d": ("PUT", {"changes": [CHANGE]}),
    "fleets/edge": ("PATCH", {"labels": {"zone": "east"}}),
}
"""How what has a name is changed."""


@pytest.mark.parametrize("path", NAMED)
def test_what_was_made_again_under_its_name_is_another_object(path: str, world: World) -> None:
    admin = world.set_up()
    assert world.ask("PUT", f"{W}/templates/web", TEMPLATE, admin).status == 200
    one = f"{W}/{path}"

    def made() -> Answer:
        if path == "drafts/d":
            world.ask("POST", f"{W}/drafts", {"name": "d", "changes": [CHANGE]}, admin)
        elif path == "fleets/edge":
            world.ask("POST", f"{W}/fleets", {"name": "edge"}, admin)
        else:
            assert world.ask("PUT", one, body, admin).status == 200
        return world.ask("GET", one, token=admin)

    method, body = NAMED[path]
    seen = made()
    assert world.ask("DELETE", one, token=admin).status == 204
    again = made()
    assert again["version"] == seen["version"], "the number alone cannot tell"
    for tag in (seen.headers["etag"], f'"{seen["version"]}-{seen["id"]}"'):
        late = world.ask(method, one, body, admin, if_match=tag)
        assert (late.status, late.json["current"]) == (412, again.json), late.text
        assert world.ask("DELETE", one, token=admin, if_match=tag).status == 412
    tag = f'"{again["version"]}-{again["id"]}"'
    assert world.ask("DELETE", one, token=admin, if_match=tag).status == 204


@pytest.mark.parametrize("path", [path for path, (method, _) in NAMED.items() if method == "PUT"])
def test_what_must_be_new_takes_the_place_of_nothing(path: str, world: World) -> None:
    admin = world.set_up()
    assert world.ask("PUT", f"{W}/templates/web", TEMPLATE, admin).status == 200
    one, body = f"{W}/{path}", NAMED[path][1]
    if path == "drafts/d":  # a PUT makes none
        world.ask("POST", f"{W}/drafts", {"name": "d", "changes": [CHANGE]}, admin)
    else:
        assert world.ask("PUT", one, body, admin, if_none_match="*").status == 200
    there = world.ask("GET", one, token=admin).json
    refused = world.ask("PUT", one, body, admin, if_none_match="*")
    assert refused.status == (412 if path == "drafts/d" else 409), refused.text
    assert world.ask("DELETE", one, token=admin, if_none_match="*").status == 412
    assert world.ask("GET", one, token=admin).json == there
    assert world.ask("PUT", one, body, admin, if_match='"1"', if_none_match="*").status >= 409


def test_what_nothing_is_compared_with_is_refused(world: World) -> None:
    admin = world.set_up()
    body = {"name": "edge"}
    for headers in ({"if_match": '"1"'}, {"if_none_match": "*"}):
        refused = world.ask("POST", f"{W}/fleets", body, admin, **headers)
        assert refused.status == 422, refused.text
        assert "leave the header out" in refused["detail"]
    assert world.ask("GET", f"{W}/fleets", token=admin).items == []


def test_a_draft_that_a_template_makes_anew_is_its_next_version(world: World) -> None:
    admin = world.set_up()
    site = json.loads(json.dumps(TEMPLATE))
    world.ask("PUT", f"{W}/templates/site", site, admin)
    host = {"template": "site", "values": {"host": "shop.example"}}
    world.ask("PUT", f"{W}/virtual-hosts/shop", host, admin)
    path = f"{W}/drafts/template-site"
    versions = []
    for port in (9001, 9002):
        site["objects"][0]["spec"] = {"endpoints": [f"127.0.0.1:{port}"]}
        assert world.ask("PUT", f"{W}/templates/site", site, admin).status == 200
        versions.append(world.ask("GET", path, token=admin)["version"])
    assert versions == ["1", "2"]
    edited = {"changes": [CHANGE]}
    assert world.ask("PUT", path, edited, admin, if_match='"1"').status == 412


def test_of_writes_of_a_secret_at_the_same_moment_one_is_made(world: World) -> None:
    admin = world.set_up()
    path = f"{W}/secrets/a.key"
    assert world.ask("PUT", path, {"content": "1"}, admin).status == 200
    requests: list[Request] = [("PUT", path, {"content": text}) for text in ("2", "3")]
    assert at_once(world, f"{DOMAINS}.secrets.store.find", admin, "1", requests) == [200, 412]


@pytest.mark.parametrize(
    ("asked", "path", "method", "body"),
    [
        ("secrets.store.find", "secrets/a.key", "PUT", {"content": "2"}),
        ("drafts.store.find", "drafts/d", "PUT", {"changes": [CHANGE]}),
        ("agents.store.find", "agents/{agent}", "PATCH", {"labels": {"zone": "east"}}),
        ("fleets.store.named", "fleets/empty", "PATCH", {"labels": {"zone": "east"}}),
    ],
)
def test_what_is_changed_at_the_same_moment_is_not_removed(
    asked: str, path: str, method: str, body: object, world: World
) -> None:
    fleet = Fleet(world)
    agent = fleet.enrolled(fleet.token()).agent
    world.ask("PUT", f"{W}/secrets/a.key", {"content": "1"}, fleet.admin)
    world.ask("POST", f"{W}/drafts", {"name": "d", "changes": [CHANGE]}, fleet.admin)
    world.ask("POST", f"{W}/fleets", {"name": "empty"}, fleet.admin)
    one = f"{W}/{path.format(agent=agent)}"
    requests: list[Request] = [(method, one, body), ("DELETE", one, None)]
    done = at_once(world, f"{DOMAINS}.{asked}", fleet.admin, "1", requests)
    # The one that came second was for a version that there is no more.
    assert done in ([200, 412], [204, 404], [204, 412])
