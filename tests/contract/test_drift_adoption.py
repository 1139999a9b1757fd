"""An edit by hand of an imported nginx config becomes a draft of which the agent is the author:
when a person asks for it, or the fleet's policy does; both databases."""

import difflib
import json
from typing import Any

import pytest
from drifting_agent import BOTH, Node
from master_world import Answer, World
from nginx_trees import tree_of_http

from headgate.engines.nginx.common.types import Rendered
from headgate.engines.nginx.imports.bundle import to_files
from headgate.engines.nginx.imports.published import spec_of
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.fleet.drift import Drift, DriftedFile
from headgate.fleet.frames import Heartbeat, Held, Hello, Instance, Version
from headgate.fleet.manifest import resource_bytes, resource_path
from headgate.fleet.orders import DriftPolicy
from headgate.master.domains.drafts import imports
from headgate.master.domains.drafts.effects import Kind, target_of
from headgate.master.domains.drift import adopting
from headgate.master.domains.drift.adopting import MOST_OPEN
from headgate.master.domains.drift.proposer import LEASE, Proposer
from headgate.master.domains.resources.types import Change
from headgate.master.domains.resources.validation import import_of, loaded_from
from headgate.master.upkeep import World as Kept
from headgate.model.text import read_document

W = "/workspaces/default"
PATH = "releases/1-0a1b2c3d4e5f/nginx.conf"
WORDS = ("endpoints=reload", "mode=full", "takes-imports")
SITE = """
upstream app { server 10.0.0.1; server 10.0.0.2; }
server {
    listen 127.0.0.1:8080 default_server;
    location / { proxy_pass http://app; }
    location /closed/ { deny all; }
    location /files/ { root /srv; }
}
"""
WEIGHT = ("server 10.0.0.2;", "server 10.0.0.2 weight=3;")
ROOT = ("root /srv;", "root /var/www;")
FINE = Drift(0, ("in sync",), policy="report")


class Site:
    """A fleet that serves an import, with an agent that can drift."""

    def __init__(self, world: World, admin: str) -> None:
        self.world, self.admin = world, admin
        files = to_files(import_tree(tree_of_http(SITE)))
        self.spec = spec_of(files, {})
        document: Any = read_document("headgate.toml", str(self.spec["objects"]).encode())
        self.objects = [
            (kind, name, document.entry(kind, name)) for kind, name, _ in document.entries()
        ]
        self.objects.append(("nginx_imports", "site", self.spec))
        self.node = Node(world, admin)
        self.publish()

    def publish(self) -> None:
        """Publishes the import, and has the agent serve it."""
        for kind, name, spec in self.objects:
            body = {"spec": spec, "fleets": {"site": "edge"}}
            done = self.world.ask("PUT", f"{W}/resources/{kind}/{name}", body, self.admin)
            assert done.status == 200, done.text
        body = {"fleet": "edge", "is_served": True}
        made: Any = self.world.ask("POST", f"{W}/revisions", body, self.admin).json
        self.serves(Version(made["number"], made["hash"]))

    def serves(self, version: Version | None) -> None:
        """Begins a session of the agent, which serves a revision of its fleet."""
        fleet = str(self.world.ask("GET", f"{W}/fleets/edge", token=self.admin).json["id"])
        instance = Instance("default", "nginx", "nginx/1.22.1", WORDS)
        held = Held(fleet, version, version, version)
        hello = Hello(self.node.id, 1, "1.0", (instance,), held, orders=BOTH)
        self.node.run(self.world.master.book.joined(self.node.id, hello, "192.0.2.7"))
        self.held = held

    def says(self, drift: Drift) -> None:
        """Tells of drift."""
        beat = Heartbeat(self.held, drift=drift)
        self.node.run(self.world.master.book.seen(self.node.id, beat))

    def conf(self) -> str:
        """The nginx.conf of the release."""
        contents = {resource_path(a, b): resource_bytes(spec) for a, b, spec in self.objects}
        target = target_of(Kind("nginx", "nginx/1.22.1", WORDS))
        assert target is not None
        found = imports.rendered(loaded_from(contents), import_of(contents), target)
        assert isinstance(found, Rendered), found
        (text,) = (file.content for file in found.files if file.path == "nginx.conf")
        return text.decode()

    def drifts(self, *edits: tuple[str, str], held: str = "") -> None:
        """Tells of an edit."""
        before = after = self.conf()
        for there, instead in edits:
            assert after.count(there) == 1
            after = after.replace(there, instead)
        old, new = (text.splitlines(keepends=True) for text in (before, after))
        diff = "".join(difflib.unified_diff(old, new, f"a/{PATH}", f"b/{PATH}"))
        file = DriftedFile(PATH, "edited", 1_000, diff, "same")
        self.says(Drift(1_000, ("disk drift",), (file,), 1, "report", held))

    def adopt(self, token: str = "") -> Answer:
        """Asks for a draft."""
        path = f"{W}/agents/{self.node.id}/drift/adopt"
        return self.world.ask("POST", path, None, token or self.admin)

    def shown(self) -> Any:
        """What there is of a proposal."""
        return self.node.shown()["proposal"]

    def drafts(self) -> list[Any]:
        """The drafts of the workspace."""
        return list(self.world.ask("GET", f"{W}/drafts", token=self.admin).items)

    def look(self) -> bool:
        """Has the master look for drift that has no proposal yet."""
        master = self.world.master
        kept = Kept(master.database, master.leases, master.clock, master.holder)
        return self.node.run(Proposer(kept, master.sealer, master.feeds).once())


@pytest.fixture
def site(world: World) -> Site:
    """A master with a fleet that serves an import."""
    admin = world.set_up()
    body = {"name": "edge", "labels": {"site": "edge"}}
    assert world.ask("POST", f"{W}/fleets", body, admin).status == 201
    return Site(world, admin)


def names(changes: list[Any]) -> list[str]:
    """What a draft changes."""
    return [f"{one['kind']}/{one['name']}" for one in changes]


def test_a_draft_of_an_edit_is_the_agents_and_a_person_publishes_it(site: Site) -> None:
    site.drifts(WEIGHT, ROOT)
    made = site.adopt()
    assert made.status == 201, made.text
    draft: Any = made.json
    assert draft["created_by"] == site.node.id
    assert names(draft["changes"]) == ["nginx_imports/site", "upstreams/app"]
    (text, pool) = (one["spec"] for one in draft["changes"])
    assert "root /var/www;" in json.dumps(text["files"])
    assert "deny all" in json.dumps(text)
    assert 3 in [one.get("weight") for one in pool["endpoints"] if isinstance(one, dict)]
    preview: Any = site.world.ask("POST", f"{W}/preview", {"draft": draft["name"]}, site.admin).json
    assert preview["errors"] == []
    assert [one["path"] for one in preview["objects"]] == [
        "nginx_imports/site.json",
        "upstreams/app.json",
    ]
    assert (site.shown()["state"], site.shown()["draft"]) == ("open", draft["name"])
    revisions = f"{W}/revisions?fleet=edge"
    assert len(site.world.ask("GET", revisions, token=site.admin).items) == 1
    body = {"fleet": "edge", "draft": draft["name"], "draft_tag": preview["draft_tag"]}
    operator = site.world.invite(site.admin, "olga", "operator")
    unserved = body | {"is_served": False}
    assert site.world.ask("POST", f"{W}/revisions", unserved, operator).status == 403
    published = site.world.ask("POST", f"{W}/revisions", body, site.admin)
    assert published.status == 201, published.text
    assert (site.shown()["state"], site.shown()["draft"]) == ("ended", None)


def test_a_proposal_is_told_and_audited_as_the_agents(site: Site) -> None:
    site.drifts(ROOT)
    name = site.adopt()["name"]
    told = site.world.ask("GET", f"{W}/events?type=agents.drift-proposed", token=site.admin).items
    details: list[Any] = [one["detail"] for one in told]
    assert [(one["draft"], one["files"]) for one in details] == [(name, [PATH])]
    lines = site.world.ask("GET", "/audit", token=site.admin).items
    (line,) = (one for one in lines if one["action"] == "drift was proposed")
    assert (line["actor"], line["actor_name"], line["object"]) == (
        site.node.id,
        "node-1",
        f"drafts/{name}",
    )


def test_a_newer_edit_takes_the_place_of_the_draft_unless_people_changed_it(site: Site) -> None:
    site.drifts(ROOT)
    site.adopt()
    site.drifts(WEIGHT)
    again: Any = site.adopt().json
    (draft,) = site.drafts()
    assert (again["version"], draft["version"]) == (2, 2)
    assert "root /srv;" in json.dumps(draft["changes"])
    changes = {"changes": draft["changes"]}
    path = f"{W}/drafts/{draft['name']}"
    assert site.world.ask("PUT", path, changes, site.admin).status == 200
    refused = site.adopt()
    assert refused["type"] == "urn:headgate:problem:not-adopted"
    assert "people changed the draft" in refused.text


def test_a_draft_that_is_another_one_than_was_looked_at_is_not_published(site: Site) -> None:
    site.node.policy("adopt", heal_after_s=0)
    site.drifts(ROOT)
    assert site.look() is True
    (draft,) = site.drafts()
    body = {"fleet": "edge", "draft": draft["name"]}
    preview = site.world.ask("POST", f"{W}/preview", {"draft": draft["name"]}, site.admin)
    seen = body | {"draft_tag": preview["draft_tag"]}
    site.drifts(("root /srv;", "root /;"))
    assert site.look() is True
    late = site.world.ask("POST", f"{W}/revisions", seen, site.admin)
    (now,) = site.drafts()
    assert (late.status, late.json["current"]) == (412, now)
    assert site.world.ask("POST", f"{W}/revisions", body, site.admin).status == 422
    seen["draft_tag"] = f"{now['version']}-{now['id']}"
    made = site.world.ask("POST", f"{W}/revisions", seen, site.admin)
    assert made.status == 201, made.text


def test_the_policy_makes_a_proposal_once_when_an_edit_has_lasted(site: Site) -> None:
    site.node.policy("adopt", heal_after_s=60)
    site.says(FINE)
    assert site.node.ordered() == (DriftPolicy("report", 60.0),)
    assert site.node.shown()["ignores_policy"] == ""
    assert site.look() is False
    site.drifts(ROOT, held="night fix")
    assert site.look() is False
    site.drifts(ROOT)
    assert site.look() is True
    (draft,) = site.drafts()
    assert draft["created_by"] == site.node.id
    assert site.world.ask("DELETE", f"{W}/drafts/{draft['name']}", token=site.admin).status == 204
    assert site.look() is False
    assert (site.drafts(), site.shown()["state"]) == ([], "ended")
    site.drifts(WEIGHT)
    assert site.look() is True
    assert names(site.drafts()[0]["changes"]) == ["nginx_imports/site", "upstreams/app"]


def test_what_cannot_be_proposed_is_said_once_and_opens_nothing(site: Site) -> None:
    site.node.policy("adopt", heal_after_s=0)
    site.drifts(("deny all;", "allow all;"))
    assert site.look() is True
    assert site.look() is False
    shown = site.shown()
    assert (shown["state"], shown["draft"], site.drafts()) == ("refused", None, [])
    assert "which a person writes into the imported config" in shown["error"]
    assert site.adopt().status == 409


def test_an_edit_that_ends_in_a_fault_of_ours_is_refused_and_stops_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[Change]:
        raise IndexError("list index out of range")

    site.node.policy("adopt", heal_after_s=0)
    site.drifts(ROOT)
    with monkeypatch.context() as patched:
        patched.setattr(adopting, "proposed", broken)
        assert site.look() is True
        assert site.look() is False
    shown = site.shown()
    assert (shown["state"], shown["draft"], site.drafts()) == ("refused", None, [])
    assert "headgate failed to read the edit" in shown["error"]
    site.drifts(WEIGHT)
    assert site.look() is True
    assert site.shown()["state"] == "open"


def test_other_policies_and_another_master_make_none(site: Site) -> None:
    site.drifts(ROOT)
    assert site.look() is False
    site.node.policy("adopt", heal_after_s=0)
    lease = site.node.run(site.world.master.leases.acquire(LEASE, "another", 60_000))
    assert lease is not None
    assert site.look() is False
    assert site.drafts() == []


def test_an_agent_that_serves_another_revision_waits(site: Site) -> None:
    site.node.policy("adopt", heal_after_s=0)
    site.drifts(ROOT)
    held = site.held.serving
    site.serves(None)
    assert "does not serve the newest revision" in site.adopt().text
    site.look()
    assert site.drafts() == []
    site.serves(held)
    site.look()
    assert len(site.drafts()) == 1


def test_what_people_changed_since_is_not_overwritten(site: Site) -> None:
    site.drifts(WEIGHT)
    body = {"spec": {"endpoints": ["10.0.0.9:80"]}}
    assert site.world.ask("PUT", f"{W}/resources/upstreams/app", body, site.admin).status == 200
    assert "upstreams/app.json is not as it was published last" in site.adopt().text


def test_new_objects_go_to_the_fleets_of_the_import(site: Site) -> None:
    more = "location /more/ {\n            proxy_pass http://app;\n        }\n        "
    site.drifts(("location /files/ {", more + "location /files/ {"))
    changes: Any = site.adopt().json["changes"]
    new = [one for one in changes if one["kind"] == "routes" and "/more" in json.dumps(one)]
    assert [one["fleets"] for one in new] == [{"site": "edge"}] * len(new)
    assert new


def test_a_fleet_without_an_import_reports_alone(site: Site) -> None:
    for kind, name, _ in reversed(site.objects):
        if kind != "upstreams":
            done = site.world.ask("DELETE", f"{W}/resources/{kind}/{name}", token=site.admin)
            assert done.status == 204
    made: Any = site.world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, site.admin).json
    site.serves(Version(made["number"], made["hash"]))
    site.drifts(ROOT)
    assert "the fleet has no imported nginx config" in site.adopt().text


def test_files_beside_the_import_and_other_kinds_of_drift_are_refused(site: Site) -> None:
    site.drifts(ROOT)
    (file,) = (DriftedFile("releases/1-0a/status.conf", "edited", 1_000, "-a\n+b\n", "same"),)
    site.says(Drift(1_000, ("disk drift",), (file,), 1, "report"))
    assert "status.conf is not a part of the imported config" in site.adopt().text
    gone = DriftedFile(PATH, "missing", 1_000, "", "same")
    site.says(Drift(1_000, ("disk drift",), (gone,), 1, "report"))
    assert "is `missing`" in site.adopt().text
    site.says(FINE)
    assert "no file on disk differs" in site.adopt().text


def test_a_fleet_has_no_more_proposals_than_people_look_at(site: Site) -> None:
    site.drifts(ROOT)
    site.adopt()
    (draft,) = site.drafts()
    others = [Node(site.world, site.admin) for _ in range(MOST_OPEN)]
    first = site.node
    for place, other in enumerate(others):
        site.node = other
        site.serves(site.held.serving)
        site.drifts(ROOT)
        answer = site.adopt()
        assert answer.status == (201 if place < MOST_OPEN - 1 else 409), answer.text
    assert f"{MOST_OPEN} proposals of the fleet are open" in answer.text
    assert draft["created_by"] == first.id


def test_operators_make_drafts_and_viewers_look(site: Site) -> None:
    site.drifts(ROOT)
    for role, status in (("viewer", 403), ("operator", 201)):
        token = site.world.invite(site.admin, role, role)
        assert site.adopt(token).status == status


def test_an_agent_that_is_removed_leaves_no_proposal(site: Site) -> None:
    site.drifts(ROOT)
    site.adopt()
    path = f"{W}/agents/{site.node.id}"
    assert site.world.ask("DELETE", path, token=site.admin).status == 204
    assert site.node.ask().status == 404
