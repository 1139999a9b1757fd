"""Templates whose parameters have a value for each node; both databases."""

import json
from typing import Any

import pytest
from master_world import UPSTREAM, Answer, World

from headgate.certificates.authority import new_csr, new_key
from headgate.fleet.frames import Held, Hello
from headgate.fleet.manifest import address, parse
from headgate.fleet.master_events import Desired
from headgate.fleet.signing import manifest_is_signed
from headgate.master.domains.revisions import service, store, sweeping
from headgate.master.domains.templates import node_values
from headgate.master.fleet.book import AgentFacts

W = "/workspaces/default"
LISTENER = "listeners/web.json"
SITE: dict[str, Any] = {
    "parameters": {
        "address": {"type": "string", "per_node": True},
        "bind_port": {"type": "integer", "per_node": True, "default": 8000},
        "tries": {"type": "integer", "per_node": True, "default": 1, "maximum": 5},
        "host": {"type": "host"},
    },
    "objects": [
        {
            "kind": "listeners",
            "name": "web",
            "spec": {"address": "{{ address }}:{{ bind_port }}", "default": True},
        },
        {
            "kind": "routes",
            "name": "site-{{ host }}",
            "spec": {
                "hosts": ["{{ host }}"],
                "upstream": "api",
                "retry": {"retries": "{{ tries }}"},
            },
        },
    ],
}


class Room:
    """A workspace with a fleet, the template `site`, and nodes that enrol."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admin = world.set_up()
        self.nodes: dict[str, str] = {}
        self.keys: tuple[bytes, ...] = ()
        self.ask("PUT", "resources/upstreams/api", {"spec": UPSTREAM})
        self.ask("POST", "fleets", {"name": "edge"})
        assert self.ask("PUT", "templates/site", SITE).status == 200

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        return self.world.ask(method, f"{W}/{path}", body, self.admin)

    def host(self, nodes: object = None, **values: object) -> Answer:
        body = {"template": "site", "values": {"host": "a.example", **values}}
        return self.ask("PUT", "virtual-hosts/a", body | {"nodes": nodes or {}})

    def node(self, name: str, **labels: str) -> str:
        """Enrols a node."""
        token = self.ask("POST", "join-tokens", {"fleet": "edge"})["token"]
        facts = AgentFacts(name, "1", labels)
        book = self.world.master.book
        given = self.world.runner.run(book.enrol(token, new_csr(new_key()), facts, ""))
        self.keys = given.manifest_keys
        self.nodes[name] = given.agent
        hello = Hello(given.agent, 1, "1")
        self.world.runner.run(book.joined(given.agent, hello, ""))
        return given.agent

    def publish(self, **more: object) -> Answer:
        return self.ask("POST", "revisions", {"fleet": "edge"} | more)

    def desired(self, name: str) -> Desired | None:
        return self.world.runner.run(self.world.master.book.desired(self.nodes[name]))

    def spec(self, name: str, path: str = LISTENER) -> Any:
        """What a node is offered at a path, checked as an agent does."""
        desired = self.desired(name)
        assert desired is not None
        assert address(desired.manifest) == desired.version.hash
        assert manifest_is_signed(self.keys, desired.manifest, desired.signature)
        (entry,) = [one for one in parse(desired.manifest).entries if one.path == path]
        book = self.world.master.book
        contents = self.world.runner.run(book.blobs(self.nodes[name], [entry.sha256]))
        return json.loads(contents[entry.sha256])

    def hash(self, name: str) -> str:
        desired = self.desired(name)
        assert desired is not None
        return desired.version.hash


def the_error(refused: Answer) -> Any:
    """The only error of a refusal."""
    found: Any = refused.json["errors"]
    (fault,) = found
    return fault


@pytest.fixture
def room(world: World) -> Room:
    return Room(world)


def test_a_node_that_comes_back_serves_the_variant_that_it_was_given(room: Room) -> None:
    room.node("one", address="127.0.0.1")
    room.node("two", address="127.0.0.2")
    room.host()
    assert room.publish().status == 201
    one, two = room.desired("one"), room.desired("two")
    assert one is not None and two is not None and one.version != two.version
    agent = room.nodes["one"]
    for version, serving in ((one.version, 1), (two.version, None)):
        hello = Hello(agent, 1, "1", held=Held(one.scope, version, version, version))
        room.world.runner.run(room.world.master.book.joined(agent, hello, ""))
        shown: Any = room.ask("GET", f"agents/{agent}").json
        assert shown["revisions"]["serving"] == serving


def test_each_node_gets_its_own_values_and_its_own_hash(room: Room) -> None:
    room.node("one", address="127.0.0.1")
    room.node("two", address="127.0.0.2", tries="3")
    room.node("three")
    made = room.host({"three": {"address": "127.0.0.3", "bind_port": 8003}})
    assert made.status == 200, made.text
    published = room.publish()
    assert published.status == 201, published.text
    assert room.spec("one") == {"address": "127.0.0.1:8000", "default": True}
    assert room.spec("two") == {"address": "127.0.0.2:8000", "default": True}
    assert room.spec("three") == {"address": "127.0.0.3:8003", "default": True}
    route = "routes/site-a.example.json"
    tries = [room.spec(name, route)["retry"]["retries"] for name in room.nodes]
    assert tries == [1, 3, 1], "a label becomes the parameter's type"
    hashes = {room.hash(name) for name in room.nodes}
    assert len(hashes) == 3
    assert published["hash"] not in hashes
    shown = room.ask("GET", f"revisions/{published['id']}/config?agent={room.nodes['two']}")
    assert shown.json["hash"] == room.hash("two")
    found: Any = shown.json["resources"]
    assert {one["name"]: one["spec"] for one in found}["web"]["address"] == "127.0.0.2:8000"


def test_who_has_the_values_of_another_has_its_hash(room: Room) -> None:
    room.node("one", address="127.0.0.1")
    room.node("two", address="127.0.0.1")
    room.host()
    assert room.publish().status == 201
    assert room.hash("one") == room.hash("two")


def test_a_missing_value_refuses_with_template_line_and_nodes(room: Room) -> None:
    room.node("one", address="127.0.0.1")
    room.node("two")
    room.node("three")
    room.host()
    refused = room.publish()
    assert refused.status == 422
    fault = the_error(refused)
    assert fault["path"].startswith("templates.site: line ")
    assert fault["path"].endswith(": listeners/web.json")
    assert fault["detail"] == 'the parameter "address" has no value for the nodes three, two'
    assert "virtual host a" in fault["allowed"]
    assert "label `address`" in fault["allowed"]
    seen: Any = room.ask("POST", "preview", {"fleet": "edge"}).json
    assert [one["detail"] for one in seen["errors"]] == [fault["detail"]]
    assert [bool(one["digest"]) for one in seen["fleets"][0]["nodes"]] == [True, False, False]
    placed = SITE | {"source": {"file": "fleet/site.toml", "lines": {"address": 12}}}
    assert room.ask("PUT", "templates/site", placed).status == 200
    fault = the_error(room.publish())
    assert fault["path"] == "templates.site: fleet/site.toml:12: listeners/web.json"
    assert room.host(address="127.0.0.9").status == 200
    assert room.publish().status == 201, "what the virtual host says is for all nodes"
    assert room.spec("one")["address"] == "127.0.0.1:8000"
    assert room.spec("two")["address"] == "127.0.0.9:8000"


@pytest.mark.parametrize(
    ("labels", "detail"),
    [
        ({"address": "127.0.0.1", "tries": "9"}, 'the parameter "tries" has a wrong value'),
        ({"address": "127.0.0.1", "tries": "few"}, 'the parameter "tries" has a wrong value'),
        ({"address": "nowhere"}, "one"),
    ],
)
def test_a_wrong_value_of_one_node_refuses_for_that_node(
    room: Room, labels: dict[str, str], detail: str
) -> None:
    room.node("good", address="127.0.0.1")
    room.node("one", **labels)
    room.host()
    refused = room.publish()
    assert refused.status == 422, refused.text
    errors: Any = refused.json["errors"]
    assert any(detail in one["detail"] and "one" in one["detail"] for one in errors), errors


def test_a_node_that_comes_later_gets_what_was_published(room: Room) -> None:
    room.node("one", address="127.0.0.1")
    room.host({"late": {"tries": 2}})
    assert room.publish().status == 201
    changed = json.loads(json.dumps(SITE))
    changed["objects"][0]["spec"]["address"] = "{{ address }}:9000"
    assert room.ask("PUT", "templates/site", changed).status == 200
    room.node("late", address="127.0.0.5")
    assert room.spec("late")["address"] == "127.0.0.5:8000", "as it was published"
    assert room.spec("late", "routes/site-a.example.json")["retry"]["retries"] == 2
    before = room.hash("late")
    labels = {"labels": {"address": "127.0.0.6"}}
    assert room.ask("PATCH", f"agents/{room.nodes['late']}", labels).status == 200
    assert room.hash("late") == before, "labels count when something is published"
    assert room.publish().status == 201
    assert room.spec("late")["address"] == "127.0.0.6:8000"


def test_a_node_that_comes_later_without_a_value_gets_nothing_and_its_error_says_why(
    room: Room,
) -> None:
    room.node("one", address="127.0.0.1")
    room.host()
    number = room.publish().json["number"]
    agent = room.node("late")
    assert room.desired("late") is None
    shown: Any = room.ask("GET", f"agents/{agent}").json
    assert (shown["error"]["code"], shown["error"]["revision"]) == ("value-missing", number)
    assert 'the parameter "address" has no value for late' in shown["error"]["text"]
    assert room.host({"late": {"address": "127.0.0.4"}}).status == 200
    assert room.publish().status == 201
    assert room.spec("late")["address"] == "127.0.0.4:8000"


def test_preview_and_diff_are_for_each_node(room: Room) -> None:
    room.node("one", address="127.0.0.1")
    room.node("two", address="127.0.0.2")
    room.host()
    assert room.publish().status == 201
    assert room.host({"two": {"tries": 4}}).status == 200
    seen: Any = room.ask("POST", "preview", {"fleet": "edge"}).json
    (fleet,) = seen["fleets"]
    one, two = fleet["nodes"]
    assert fleet["objects"] == [], "what is the same for all nodes does not change"
    assert (one["name"], one["objects"]) == ("one", [])
    assert [(x["path"], x["keys"]) for x in two["objects"]] == [
        ("routes/site-a.example.json", ["retry"])
    ]
    assert two["values"]["a"] == {"address": "127.0.0.2", "bind_port": 8000, "tries": 4}
    assert (fleet["more_nodes"], fleet["changed_nodes"]) == (0, 1)
    config: Any = room.ask("GET", f"agents/{room.nodes['two']}/config").json
    assert config["digest"] == two["digest"]
    specs = {x["name"]: x["spec"] for x in config["resources"]}
    assert specs["site-a.example"]["retry"] == {"retries": 4}
    unknown = room.ask("GET", "agents/nobody/config")
    assert unknown.status == 404


def test_an_older_revision_comes_back_with_its_values(room: Room) -> None:
    room.node("one", address="127.0.0.1")
    room.host({"one": {"tries": 2}})
    first = room.publish()
    room.host({"one": {"tries": 4}})
    assert room.publish().status == 201
    again = room.ask("POST", f"revisions/{first['id']}/publish", {})
    assert again.status == 201, again.text
    assert room.spec("one", "routes/site-a.example.json")["retry"]["retries"] == 2


def test_contents_that_only_a_node_has_are_kept(room: Room) -> None:
    room.node("one", address="127.0.0.1")
    room.host()
    assert room.publish().status == 201
    room.world.advance(days=3)
    room.world.runner.run(sweeping.sweep(room.world.database, room.world.now_ms))
    assert room.spec("one")["address"] == "127.0.0.1:8000"


def test_a_revision_without_agents_waits_for_the_first_one(room: Room) -> None:
    room.host()
    assert room.publish().status == 201
    room.node("one", address="127.0.0.1")
    assert room.spec("one")["address"] == "127.0.0.1:8000"


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ({"objects": [{"kind": "routes", "name": "{{ address }}", "spec": {}}]}, "name"),
        ({"parameters": {"host": {"type": "host", "label": "x"}}}, "$.parameters.host.label"),
        (
            {"parameters": {"tries": {"type": "integer", "per_node": True, "default": "x"}}},
            "$.parameters.tries.default",
        ),
    ],
)
def test_templates_with_wrong_parameters_of_nodes_are_refused(
    room: Room, template: dict[str, Any], place: str
) -> None:
    refused = room.ask("PUT", "templates/site", SITE | template)
    assert refused.status == 422
    assert place in refused.text


@pytest.mark.parametrize(
    ("nodes", "values", "place"),
    [
        ({"one": {"nothing": 1}}, {}, '$.nodes[\\"one\\"].nothing'),
        ({"one": {"host": "b.example"}}, {}, '$.nodes[\\"one\\"].host'),
        ({"one": {"tries": 9}}, {}, '$.nodes[\\"one\\"].tries'),
        ({}, {"tries": 9}, "$.values.tries"),
    ],
)
def test_wrong_values_of_nodes_are_refused_at_their_place(
    room: Room, nodes: object, values: dict[str, object], place: str
) -> None:
    refused = room.host(nodes, **values)
    assert refused.status == 422, refused.text
    assert place in refused.text


def test_a_template_that_lost_a_parameter_refuses_until_its_draft_is_published(room: Room) -> None:
    room.node("one", address="127.0.0.1")
    room.host()
    fixed = json.loads(json.dumps(SITE))
    fixed["objects"][0]["spec"]["address"] = "127.0.0.1:8000"
    del fixed["parameters"]["address"]
    assert room.ask("PUT", "templates/site", fixed).json["draft"] == "template-site"
    refused = room.publish()
    assert refused.status == 422
    assert "publish the draft of the template" in refused.text
    assert room.publish(draft="template-site").status == 201
    assert room.spec("one")["address"] == "127.0.0.1:8000"


def test_many_nodes_get_few_configs_within_bounds(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes are written in parts, and bounded by their configs and by the size of manifests."""
    monkeypatch.setattr(store, "_NODES_AT_ONCE", 2)
    monkeypatch.setattr(node_values, "_CONFIGS", 2)
    monkeypatch.setattr(node_values, "_OBJECTS", 1)
    for number in range(5):
        room.node(f"n{number}", address=f"127.0.0.{number % 2 + 1}")
    room.host()
    assert room.publish().status == 201
    assert len({room.hash(name) for name in room.nodes}) == 2
    effect: Any = room.ask("POST", "preview", {}).json["fleets"]
    assert (effect[0]["changed_nodes"], len(effect[0]["nodes"])) == (0, 5)

    monkeypatch.setattr(service, "MOST_NODE_BYTES", 1_000)
    fault = the_error(room.publish())
    assert fault["detail"].startswith("the manifests of all nodes have more than")
    monkeypatch.undo()
    monkeypatch.setattr(node_values, "_CONFIGS", 1)
    monkeypatch.setattr(node_values, "_OBJECTS", 1)
    fault = the_error(room.publish())
    assert fault["detail"].startswith("the nodes of the fleet would get more than")
