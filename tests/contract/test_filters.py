"""Every list takes its filters, refuses others with what is allowed, and continues with them; both
databases."""

from typing import Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute
from master_world import ROUTE, UPSTREAM, World
from said_agent import Agent
from sqlalchemy import update

from headgate.fleet.drift import Drift
from headgate.master.api.routing import PREFIX
from headgate.master.api.types import Window, rfc3339
from headgate.master.domains.agents.store import AGENTS, AWAY_AFTER_MS
from headgate.master.domains.drift.reading import kept
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction

W = "/workspaces/default"
DRIFT = kept(Drift(1, ("disk drift",))).stored()


@pytest.fixture
def admin(world: World) -> str:
    """Two fleets, and objects of two sets that go to them; the administrator's token."""
    token = world.set_up()
    for name, labels in (("live", {"env": "prod", "zone": "a"}), ("lab", {"env": "test"})):
        made = world.ask("POST", f"{W}/fleets", {"name": name, "labels": labels}, token)
        assert made.status == 201, made.text
    for path, spec, fleets, query in (
        ("upstreams/api", UPSTREAM, {}, ""),
        ("routes/shop", ROUTE, {"env": "prod"}, "?set=web"),
        ("routes/shop-2", ROUTE | {"hosts": ["b.example"]}, {"env": "prod", "zone": "b"}, ""),
        ("routes/Shop-3", ROUTE | {"hosts": ["c.example"]}, {"env": "test"}, "?set=web"),
    ):
        body = {"spec": spec, "fleets": fleets}
        assert world.ask("PUT", f"{W}/resources/{path}{query}", body, token).status == 200
    return token


def names(world: World, token: str, path: str, field: str = "name") -> list[Any]:
    """What a list shows, part by part."""
    found: list[Any] = []
    sign = "&" if "?" in path else "?"
    cursor = ""
    while True:
        page = world.ask("GET", f"{path}{sign}limit=1{cursor}", token=token)
        assert page.status == 200, page.text
        assert len(page.items) <= 1
        found += [one[field] for one in page.items]
        if page.json["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name_prefix=shop", ["shop", "shop-2"]),
        ("name_prefix=sh%25p", []),
        ("kind=routes&name_prefix=Sh", ["Shop-3"]),
        ("set=web", ["Shop-3", "shop"]),
        ("set=web&name_prefix=s", ["shop"]),
        ("set=none", []),
        ("fleet=live", ["shop", "api"]),
        ("fleet=lab", ["Shop-3", "api"]),
        ("label=env=prod", ["shop", "shop-2"]),
        ("label=env=prod&label=zone=b", ["shop-2"]),
        ("label=env=pro", []),
        ("changed_by=nobody", []),
    ],
)
def test_objects_are_filtered(world: World, admin: str, query: str, found: list[str]) -> None:
    assert sorted(names(world, admin, f"{W}/resources?{query}")) == sorted(found)


def test_objects_are_filtered_by_who_wrote_them_last(world: World, admin: str) -> None:
    me = world.ask("GET", "/auth/me", token=admin)["id"]
    assert len(names(world, admin, f"{W}/resources?changed_by={me}")) == 4
    world.ask("PUT", f"{W}/secrets/a.key", {"content": "x"}, admin)
    assert names(world, admin, f"{W}/secrets?changed_by={me}&name_prefix=a") == ["a.key"]
    assert names(world, admin, f"{W}/secrets?changed_by=nobody") == []


def test_fleets_tokens_and_users_are_filtered(world: World, admin: str) -> None:
    fleets = f"{W}/fleets"
    assert names(world, admin, f"{fleets}?label=env=test") == ["lab"]
    assert names(world, admin, f"{fleets}?name_prefix=li&engine=any") == ["live"]
    assert names(world, admin, f"{fleets}?engine=nginx") == []

    tokens = {}
    for name, role, days in (("ci", "viewer", 1), ("cd", "operator", 90), ("old", "viewer", 90)):
        body = {"name": name, "role": role, "days": days}
        tokens[name] = world.ask("POST", "/tokens", body, admin)
    world.ask("DELETE", f"/tokens/{tokens['old']['id']}", token=admin)
    assert names(world, admin, "/tokens?role=viewer&state=good") == ["ci"]
    soon = quote(rfc3339(world.now_ms + 2 * 86_400_000))
    assert names(world, admin, f"/tokens?expires_before={soon}") == ["ci"]
    world.advance(days=1)
    login = {"name": "ann", "password": "correct horse battery"}
    admin = world.ask("POST", "/auth/login", login)["access_token"]
    assert names(world, admin, "/tokens?state=expired") == ["ci"]
    assert names(world, admin, "/tokens?state=revoked") == ["old"]
    assert names(world, admin, "/tokens?state=good&name_prefix=c") == ["cd"]

    world.invite(admin, "bob", "viewer")
    there = world.ask("GET", W, token=admin)["id"]
    world.invite(admin, "bo", "operator", there)
    assert names(world, admin, "/users?name_prefix=bo") == ["bob", "bo"]
    assert names(world, admin, "/users?role=admin") == ["ann"]
    assert names(world, admin, f"/users?workspace={there}&name_prefix=b") == ["bo"]
    assert names(world, admin, "/workspaces?name_prefix=def") == ["default"]
    assert names(world, admin, "/organisations?name_prefix=x") == []


def test_a_filter_of_names_shows_no_member_of_another_organisation(
    world: World, admin: str
) -> None:
    world.ask("POST", "/organisations", {"name": "other"}, admin)
    world.invite(admin, "bob", "viewer", query="?organisation=other")
    assert names(world, admin, "/users?organisation=main&name_prefix=bob") == []
    assert names(world, admin, "/users?organisation=other&name_prefix=bob") == ["bob"]


def test_agents_are_filtered_by_fleet_state_label_and_name(world: World, admin: str) -> None:
    world.ask("POST", f"{W}/fleets", {"name": "edge"}, admin)
    path = f"{W}/agents"
    new, connected, away, failing, revoked = [Agent(world, admin).id for _ in range(5)]
    told: dict[str, dict[str, object]] = {
        new: {"seen_at": None},
        connected: {"phase": "serving", "drift": DRIFT, "drift_since": 1, "program": "1.2.3"},
        away: {"seen_at": world.now_ms - AWAY_AFTER_MS, "phase": "serving", "held_scope": "x"},
        failing: {"failing_since": 1},
    }

    async def tell(tx: Transaction) -> None:
        for agent, values in told.items():
            said = {"held_scope": AGENTS.c.fleet} | values
            await tx.change(update(AGENTS).where(AGENTS.c.id == agent).values(said))

    world.runner.run(world.database.write(MASTER, tell))
    assert world.ask("POST", f"{path}/{revoked}/revocation", token=admin).status == 200
    body = {"labels": {"zone": "east"}}
    assert world.ask("PATCH", f"{path}/{away}", body, admin).status == 200

    def ids(query: str) -> list[Any]:
        return names(world, admin, f"{path}?{query}", "id")

    order = ("new", "connected", "away", "failing", "revoked")
    for state, agent in zip(order, (new, connected, away, failing, revoked), strict=True):
        assert ids(f"state={state}") == [agent], state
        assert world.ask("GET", f"{path}/{agent}", token=admin)["state"] == state
    assert ids("label=zone=east") == [away]
    assert ids("label=zone=East") == []
    assert ids("phase=serving") == [connected]
    assert ids("phase=rejected") == []
    assert ids("drifts=true") == [connected]
    assert ids("drifts=false") == []
    assert ids("program=1.2.3&name_prefix=node-") == [connected]
    assert ids("name_prefix=no-such") == []
    assert len(ids("fleet=edge")) == 5
    assert ids("fleet=lab") == []


def test_the_audit_log_is_filtered_by_actor_action_object_and_time(
    world: World, admin: str
) -> None:
    world.advance(minutes=1)
    since = quote(rfc3339(world.now_ms))
    world.ask("DELETE", f"{W}/resources/routes/shop?set=web", token=admin)
    world.advance(minutes=1)
    until = quote(rfc3339(world.now_ms))
    viewer = world.invite(admin, "vic", "viewer")
    world.ask("DELETE", f"{W}/resources/routes/shop-2", token=viewer)
    assert names(world, admin, "/audit?actor=vic&outcome=refused", "outcome") == ["refused"]
    removal = ["DELETE /workspaces/{workspace}/resources/{kind}/{name}"]
    said = names(world, admin, f"/audit?since={since}&until={until}", "action")
    assert [one.replace(PREFIX, "") for one in said] == removal
    assert names(world, admin, "/audit?action=DELETE&actor=ann", "action") == said
    path = quote(f"{PREFIX}{W}/resources/routes/shop")
    assert len(names(world, admin, f"/audit?object={path}", "object")) == 4
    assert names(world, admin, f"/audit?until={since}&action=DELETE", "action") == []
    there = world.ask("GET", W, token=admin)["id"]
    assert names(world, admin, f"/audit?workspace={there}&action=DELETE", "action") == said
    assert names(world, admin, f"{W}/events?since={since}&until={until}", "type") == [
        "resources.removed"
    ]


def test_rollouts_revisions_freezes_and_join_tokens_are_filtered_by_fleet(
    world: World, admin: str
) -> None:
    listener = {"spec": {"address": "127.0.0.1:8000", "default": True}}
    world.ask("PUT", f"{W}/resources/listeners/web", listener, admin)
    route = {"spec": ROUTE | {"upstream": "api"}}
    world.ask("PUT", f"{W}/resources/routes/shop?take_over=true", route, admin)
    for fleet in ("live", "lab"):
        body = {"fleet": fleet, "is_served": False}
        made = world.ask("POST", f"{W}/revisions", body, admin)
        assert made.status == 201, made.text
        begun = world.ask("POST", f"{W}/rollouts", {"fleet": fleet, "revision": 1}, admin)
        assert begun.status == 201, begun.text
        world.ask("POST", f"{W}/freezes", {"fleet": fleet, "seconds": 60, "reason": fleet}, admin)
        world.ask("POST", f"{W}/join-tokens", {"fleet": fleet, "labels": {"of": fleet}}, admin)
    world.ask("POST", f"{W}/freezes", {"seconds": 120, "reason": "all"}, admin)
    fleets = {one["name"]: one["id"] for one in world.ask("GET", f"{W}/fleets", token=admin).items}
    lab = fleets["lab"]
    assert names(world, admin, f"{W}/rollouts?fleet=lab&state=open", "fleet") == [lab]
    assert names(world, admin, f"{W}/rollouts?state=ended", "fleet") == []
    assert len(names(world, admin, f"{W}/rollouts?state=queued&revision=1", "id")) == 2
    assert names(world, admin, f"{W}/rollouts?created_by=bob", "id") == []
    assert names(world, admin, f"{W}/revisions?fleet=lab&author=ann", "fleet_id") == [lab]
    assert names(world, admin, f"{W}/revisions?author=bob", "id") == []
    later = quote(rfc3339(world.now_ms + 1))
    assert names(world, admin, f"{W}/revisions?since={later}", "id") == []
    assert len(names(world, admin, f"{W}/revisions?until={later}", "id")) == 2
    assert names(world, admin, f"{W}/freezes?fleet=lab", "reason") == ["lab", "all"]
    world.advance(seconds=90)
    assert names(world, admin, f"{W}/freezes?state=over", "reason") == ["live", "lab"]
    assert names(world, admin, f"{W}/freezes?state=active", "reason") == ["all"]
    assert names(world, admin, f"{W}/join-tokens?fleet=lab&state=good", "fleet") == [lab]
    assert names(world, admin, f"{W}/join-tokens?label=of=live", "fleet") == [fleets["live"]]
    assert names(world, admin, f"{W}/join-tokens?state=used", "id") == []
    gone = world.ask("GET", f"{W}/rollouts?fleet=none", token=admin)
    assert (gone.status, gone["type"]) == (404, "urn:headgate:problem:not-found")


def test_templates_and_virtual_hosts_are_filtered(world: World, admin: str) -> None:
    made = {"kind": "upstreams", "name": "{{ u }}", "spec": UPSTREAM}
    template = {"objects": [made], "parameters": {"u": {"type": "upstream"}}}
    for name in ("a-site", "b-site"):
        done = world.ask("PUT", f"{W}/templates/{name}?set={name}", template, admin)
        assert done.status == 200, done.text
        host = {"template": name, "values": {"u": name}, "fleets": {"env": "prod"}}
        done = world.ask("PUT", f"{W}/virtual-hosts/of-{name}?set={name}", host, admin)
        assert done.status == 200, done.text
    assert names(world, admin, f"{W}/templates?set=a-site") == ["a-site"]
    assert names(world, admin, f"{W}/templates?name_prefix=b") == ["b-site"]
    hosts = f"{W}/virtual-hosts"
    assert names(world, admin, f"{hosts}?template=b-site&label=env=prod") == ["of-b-site"]
    assert names(world, admin, f"{hosts}?fleet=live&set=a-site") == ["of-a-site"]
    assert names(world, admin, f"{hosts}?fleet=lab") == []
    change = {"kind": "routes", "name": "x", "spec": None}
    world.ask("POST", f"{W}/drafts", {"name": "sale", "changes": [change]}, admin)
    assert names(world, admin, f"{W}/drafts?name_prefix=sa") == ["sale"]
    assert names(world, admin, f"{W}/drafts?created_by=nobody") == []


@pytest.mark.parametrize(
    ("path", "name", "allowed"),
    [
        (f"{W}/resources?colour=red", "colour", "changed_by, cursor, fleet, kind, label, limit,"),
        (f"{W}/resources?kind=cats", "kind", "'listeners', 'hosts'"),
        (f"{W}/resources?label=env", "label.0", "="),
        (f"{W}/resources?kind=routes&kind=hosts", "kind", "write it once"),
        (f"{W}/agents?state=tired", "state", "'connected'"),
        (f"{W}/agents?phase=x", "phase", "'serving'"),
        (f"{W}/rollouts?state=x", "state", "'open'"),
        ("/audit?since=yesterday", "since", "RFC 3339"),
        ("/audit?until=2026-03-02", "until", "RFC 3339"),
        ("/tokens?state=dead", "state", "'revoked'"),
        (f"{W}/certificates?expires_before=1", "expires_before", "RFC 3339"),
        (f"{W}/fleets?name_prefix=", "name_prefix", "at least 1 character"),
    ],
)
def test_what_is_no_filter_is_refused_with_what_is_allowed(
    world: World, admin: str, path: str, name: str, allowed: str
) -> None:
    answer = world.ask("GET", path, token=admin)
    assert (answer.status, answer["path"]) == (422, name), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert allowed in answer.text


def test_a_cursor_is_refused_with_other_filters(world: World, admin: str) -> None:
    path = f"{W}/resources?limit=1"
    filtered = world.ask("GET", f"{path}&kind=routes", token=admin)["next"]
    plain = world.ask("GET", path, token=admin)["next"]
    for query in (f"&cursor={filtered}", f"&kind=hosts&cursor={filtered}"):
        refused = world.ask("GET", path + query, token=admin)
        assert (refused.status, refused["path"]) == (422, "cursor")
        assert "repeat the filters" in refused["detail"]
    assert world.ask("GET", f"{path}&kind=routes&cursor={plain}", token=admin).status == 422
    assert world.ask("GET", f"{path}&kind=routes&cursor={filtered}", token=admin).status == 200


def test_every_list_declares_its_filters_and_shows_them_in_its_page(world: World) -> None:
    page: Any = world.ask("GET", "/openapi.json").json
    bare = []
    for route in world.app.routes:
        if not isinstance(route, APIRoute) or "GET" not in (route.methods or ()):
            continue
        for field in route.dependant.query_params:
            model: Any = field.field_info.annotation
            if not (isinstance(model, type) and issubclass(model, Window)):
                continue
            filters = set(model.model_fields) - {"limit", "cursor", "organisation"}
            parameters = page["paths"][route.path]["get"]["parameters"]
            described = {one["name"] for one in parameters if one.get("description")}
            if not filters or not filters <= described:
                bare.append(route.path)
    assert bare == []
