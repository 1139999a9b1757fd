"""Virtual hosts made of templates; both databases."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from master_world import LISTENER, UPSTREAM, Answer, World

from headgate.master.domains.templates import budget, service

W = "/workspaces/default"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "master-api.md"
SITE: dict[str, Any] = {
    "parameters": {
        "host": {"type": "host"},
        "upstream": {"type": "upstream", "default": "api"},
        "tries": {"type": "integer", "default": 1, "minimum": 0, "maximum": 5},
        "websocket": {"type": "boolean", "default": False},
        "plan": {"type": "enum", "values": ["basic", "gold"], "default": "basic"},
        "note": {"type": "string", "default": "none", "longest": 40},
    },
    "objects": [
        {
            "kind": "routes",
            "name": "site-{{ host }}",
            "spec": {
                "hosts": ["{{ host }}", "www.{{ host }}"],
                "upstream": "{{ upstream }}",
                "websocket": "{{ websocket }}",
                "retry": {"retries": "{{ tries }}"},
                "match": {"headers": {"x-plan": {"exact": "{{ plan }}/{{ note }}"}}},
            },
        }
    ],
}


class Room:
    """A workspace with the template `site`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admin = world.set_up()
        for path, spec in (("listeners/web", LISTENER), ("upstreams/api", UPSTREAM)):
            self.ask("PUT", f"resources/{path}", {"spec": spec})
        assert self.template(SITE).status == 200

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        return self.world.ask(method, f"{W}/{path}", body, self.admin, **headers)

    def template(self, body: object, **headers: str) -> Answer:
        return self.ask("PUT", "templates/site", body, **headers)

    def host(self, name: str = "a", **values: object) -> Answer:
        body = {"template": "site", "values": {"host": f"{name}.example", **values}}
        return self.ask("PUT", f"virtual-hosts/{name}", body)

    def spec(self, name: str) -> Any:
        return self.ask("GET", f"resources/routes/{name}").json["spec"]


@pytest.fixture
def room(world: World) -> Room:
    return Room(world)


def changed(**keys: object) -> dict[str, Any]:
    """The template with other keys in the spec of its route."""
    found: dict[str, Any] = json.loads(json.dumps(SITE))
    found["objects"][0]["spec"] |= keys
    return found


def test_a_virtual_host_is_made_with_typed_values(room: Room) -> None:
    made = room.host(tries=3, websocket=True, plan="gold")
    assert made.status == 200, made.text
    assert made.json["objects"] == ["routes/site-a.example.json"]
    assert room.spec("site-a.example") == {
        "hosts": ["a.example", "www.a.example"],
        "upstream": "api",
        "websocket": True,
        "retry": {"retries": 3},
        "match": {"headers": {"x-plan": {"exact": "gold/none"}}},
    }
    assert room.ask("GET", "virtual-hosts/a").json == made.json
    renamed = room.ask(
        "PUT", "virtual-hosts/a", {"template": "site", "values": {"host": "b.example"}}
    )
    assert renamed.json["objects"] == ["routes/site-b.example.json"]
    assert room.ask("GET", "resources/routes/site-a.example").status == 404


def test_a_change_of_a_template_is_a_draft_and_nothing_else(room: Room) -> None:
    room.host("a")
    room.host("b")
    before = room.spec("site-a.example")
    done = room.template(changed(priority=7))
    assert (done.status, done.json["draft"], done.json["version"]) == (200, "template-site", 2)
    assert room.spec("site-a.example") == before
    draft: Any = room.ask("GET", "drafts/template-site").json
    assert [(one["name"], one["spec"]["priority"]) for one in draft["changes"]] == [
        ("site-a.example", 7),
        ("site-b.example", 7),
    ]
    room.ask("POST", "fleets", {"name": "edge"})
    made = room.ask("POST", "revisions", {"fleet": "edge", "draft": "template-site"})
    assert made.status == 201, made.text
    assert room.spec("site-a.example")["priority"] == 7
    assert room.template(changed(priority=7)).json["draft"] is None


def test_a_draft_does_not_bring_a_removed_virtual_host_back(room: Room) -> None:
    for name in ("a", "b"):
        room.host(name)
    assert room.template(changed(priority=7)).json["draft"] == "template-site"
    assert room.ask("DELETE", "virtual-hosts/a").status == 204
    draft: Any = room.ask("GET", "drafts/template-site").json
    assert ([one["name"] for one in draft["changes"]], draft["version"]) == (["site-b.example"], 2)
    room.ask("POST", "fleets", {"name": "edge"})
    made = room.ask("POST", "revisions", {"fleet": "edge", "draft": "template-site"})
    assert made.status == 201, made.text
    assert room.ask("GET", "resources/routes/site-a.example").status == 404
    assert room.spec("site-b.example")["priority"] == 7
    assert room.host("a").status == 200


def test_a_draft_does_not_bring_values_from_before_a_later_write_back(room: Room) -> None:
    for name in ("a", "b"):
        room.host(name)
    renamed = changed(priority=7)
    renamed["objects"][0]["name"] = "web-{{ host }}"
    assert room.template(renamed).json["draft"] == "template-site"
    written = room.host("a", tries=3)
    assert written.json["objects"] == ["routes/web-a.example.json"]
    draft: Any = room.ask("GET", "drafts/template-site").json
    assert {one["name"] for one in draft["changes"]} == {"site-b.example", "web-b.example"}
    room.ask("POST", "fleets", {"name": "edge"})
    made = room.ask("POST", "revisions", {"fleet": "edge", "draft": "template-site"})
    assert made.status == 201, made.text
    assert room.spec("web-a.example")["retry"] == {"retries": 3}
    assert room.ask("GET", "resources/routes/site-a.example").status == 404


def test_a_draft_of_virtual_hosts_that_were_all_written_since_is_gone(room: Room) -> None:
    room.host("a")
    assert room.template(changed(priority=7)).json["draft"] == "template-site"
    assert room.host("a").status == 200
    assert room.ask("GET", "drafts/template-site").status == 404
    assert room.spec("site-a.example")["priority"] == 7


def test_a_virtual_host_of_another_template_leaves_the_draft_of_the_first_one(room: Room) -> None:
    room.host("a")
    room.ask("PUT", "templates/other", SITE)
    assert room.template(changed(priority=7)).json["draft"] == "template-site"
    moved = {"template": "other", "values": {"host": "a.example"}}
    assert room.ask("PUT", "virtual-hosts/a", moved).status == 200
    assert room.ask("GET", "drafts/template-site").status == 404


def test_what_a_draft_would_have_made_and_nobody_published_is_forgotten(room: Room) -> None:
    room.host("a")
    for name in ("shop", "web"):
        renamed = json.loads(json.dumps(SITE))
        renamed["objects"][0]["name"] = f"{name}-{{{{ host }}}}"
        assert room.template(renamed).json["draft"] == "template-site"
    shown = room.ask("GET", "virtual-hosts/a").json
    assert shown["objects"] == ["routes/site-a.example.json", "routes/web-a.example.json"]
    draft: Any = room.ask("GET", "drafts/template-site").json
    assert [(one["name"], one["spec"] is None) for one in draft["changes"]] == [
        ("web-a.example", False),
        ("site-a.example", True),
    ]
    spec = {"hosts": ["shop.example"], "upstream": "api"}
    assert room.ask("PUT", "resources/routes/shop-a.example", {"spec": spec}).status == 200
    assert room.ask("DELETE", "virtual-hosts/a").status == 204
    assert room.ask("GET", "resources/routes/shop-a.example").status == 200, "it is another's"


def test_one_template_serves_fleets_with_values_of_their_own(room: Room) -> None:
    for env, upstream in (("prod", "api"), ("test", "other")):
        room.ask("POST", "fleets", {"name": env, "labels": {"env": env}})
        spec = {"endpoints": [f"127.0.0.1:{9000 + len(env)}"]}
        room.ask("PUT", f"resources/upstreams/{upstream}", {"spec": spec})
        values = {"host": f"{env}.example", "upstream": upstream, "tries": len(env)}
        body = {"template": "site", "values": values, "fleets": {"env": env}}
        made = room.ask("PUT", f"virtual-hosts/{env}", body)
        assert (made.status, made.json["fleets"]) == (200, {"env": env}), made.text
    assert room.template(changed(priority=7)).json["draft"] == "template-site"
    seen: Any = room.ask("POST", "preview", {"draft": "template-site"}).json["fleets"]
    assert {one["fleet"]: one["left_out"] for one in seen} == {
        "prod": ["routes/site-test.example.json"],
        "test": ["routes/site-prod.example.json"],
    }
    for env in ("prod", "test"):
        made = room.ask("POST", "revisions", {"fleet": env, "draft": "template-site"})
        assert made.status == (201 if env == "prod" else 404), made.text
    made = room.ask("POST", "revisions", {"fleet": "test"})
    assert made.status == 201, made.text
    route = room.ask("GET", "resources/routes/site-test.example").json
    assert route["fleets"] == {"env": "test"}
    moved = {"template": "site", "values": {"host": "test.example"}}
    assert room.ask("PUT", "virtual-hosts/test", moved).json["fleets"] == {}
    assert room.ask("GET", "resources/routes/site-test.example").json["fleets"] == {}


def test_a_name_that_grows_too_long_is_refused(room: Room) -> None:
    long: dict[str, Any] = json.loads(json.dumps(SITE))
    long["objects"][0]["name"] = "{{ note }}" * 6
    assert room.ask("PUT", "templates/site", long).status == 200
    refused = room.host("a", note="x" * 40)
    assert refused.status == 422
    assert refused["path"] == "$.objects[0].name"


def test_a_stale_version_is_refused_with_the_present_one(room: Room) -> None:
    room.host("a")
    first = {"if_match": '"1"'}
    assert room.template(changed(priority=7), **first).status == 200
    refused = room.template(changed(priority=8), **first)
    assert (refused.status, refused["type"]) == (412, "urn:headgate:problem:stale")
    body = {"template": "site", "values": {"host": "a.example"}}
    refused = room.ask("PUT", "virtual-hosts/a", body, **first)
    assert refused.status == 412
    assert room.ask("DELETE", "virtual-hosts/a", **first).status == 412


def test_a_change_that_virtual_hosts_do_not_fit_is_refused(room: Room) -> None:
    room.host("a")
    more = changed()
    more["parameters"]["key"] = {"type": "string"}
    refused = room.template(more)
    assert refused.status == 422
    assert refused["path"] == "virtual host a: $.values.key"
    assert room.ask("GET", "templates/site").json["version"] == 1


def test_a_change_of_too_many_objects_is_refused_at_the_first_one_too_many(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        assert room.host(name).status == 200
    made: list[object] = []
    original = service.made

    def counted(*given: Any) -> Any:
        made.append(given[1])
        return original(*given)

    monkeypatch.setattr(service, "made", counted)
    monkeypatch.setattr(budget, "MOST_OBJECTS", 1)
    refused = room.template(changed(priority=7))
    assert (refused.status, len(made)) == (422, 2)
    assert "more than 1 objects" in refused["detail"]
    assert room.template(SITE).status == 200  # which changes none of them


def test_a_virtual_host_takes_nothing_that_is_there_already(room: Room) -> None:
    spec = {"hosts": ["x.example"], "upstream": "api"}
    room.ask("PUT", "resources/routes/site-a.example", {"spec": spec})
    assert room.host("a").status == 409
    assert room.spec("site-a.example") == spec
    room.host("b")
    twice = {"template": "site", "values": {"host": "b.example"}}
    assert room.ask("PUT", "virtual-hosts/c", twice).status == 409


def test_a_virtual_host_is_removed_with_its_objects(room: Room) -> None:
    room.host("a")
    assert room.ask("DELETE", "templates/site")["type"] == "urn:headgate:problem:not-empty"
    assert room.ask("DELETE", "virtual-hosts/a").status == 204
    assert room.ask("GET", "resources/routes/site-a.example").status == 404
    assert room.ask("DELETE", "templates/site").status == 204
    assert room.host("a").status == 404


HOSTILE = [
    ("host", "a.example\nupstream: x"),
    ("host", 'a.example", "b.example'),
    ("host", "a b"),
    ("host", ""),
    ("host", 5),
    ("upstream", 'api"} , {"x'),
    ("upstream", "a b"),
    ("tries", 6),
    ("tries", -1),
    ("tries", "3"),
    ("tries", True),
    ("tries", 10**30),
    ("websocket", 1),
    ("websocket", "true"),
    ("plan", "platinum"),
    ("plan", True),
    ("note", "x" * 41),
    ("note", "a\nb"),
    ("note", "a\x00b"),
    ("note", "${env:HOME}"),
    ("note", ["a"]),
    ("note", {"exact": "x"}),
    ("note", None),
    ("other", "x"),
    ("Note", "x"),
]


@pytest.mark.parametrize(("name", "value"), HOSTILE, ids=str)
def test_a_hostile_value_is_refused_by_name(room: Room, name: str, value: object) -> None:
    refused = room.host("a", **{name: value})
    assert refused.status == 422, refused.text
    assert f"values.{name}" in refused.text
    assert room.ask("GET", "virtual-hosts").items == []
    assert room.ask("GET", "resources?kind=routes").items == []


@pytest.mark.parametrize(
    "note", ["{{ host }}", "{{ note }}", '"}, "priority": 9, "x": {"', "{%", "]}", "\\", "#{"]
)
def test_a_value_stays_a_text_whatever_it_says(room: Room, note: str) -> None:
    made = room.host("a", note=note)
    assert made.status == 200, made.text
    spec = room.spec("site-a.example")
    assert spec["match"]["headers"]["x-plan"] == {"exact": f"basic/{note}"}
    assert set(spec) == {"hosts", "upstream", "websocket", "retry", "match"}


@pytest.mark.parametrize(
    "spec",
    [
        {"upstream": "{{ nothing }}"},
        {"upstream": "{{ host"},
        {"upstream": "{{ host | upper }}"},
        {"upstream": "{{ ''.__class__ }}"},
        {"{{ note }}": "x"},
        {"match": {"headers": {"{{ note }}": {"exact": "x"}}}},
    ],
    ids=str,
)
def test_a_bad_template_is_refused_at_its_place(room: Room, spec: object) -> None:
    refused = room.ask(
        "PUT",
        "templates/other",
        {**SITE, "objects": [{"kind": "routes", "name": "r", "spec": spec}]},
    )
    assert refused.status == 422
    assert "$.objects[0].spec" in refused.text


@pytest.mark.parametrize(
    "parameter",
    [
        {"type": "enum"},
        {"type": "string", "values": ["a"]},
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "integer", "default": "x"},
        {"type": "object"},
        {"type": "string", "longest": 100_000},
    ],
    ids=str,
)
def test_a_bad_parameter_is_refused(room: Room, parameter: object) -> None:
    body = {"parameters": {"p": parameter}, "objects": SITE["objects"]}
    refused = room.ask("PUT", "templates/other", body)
    assert refused.status == 422
    assert "parameters.p" in refused.text


def test_a_text_that_grows_too_long_is_refused(room: Room) -> None:
    long = changed(upstream="{{ note }}" * 300)
    assert room.ask("PUT", "templates/site", long).status == 200
    refused = room.host("a", note="x" * 40)
    assert refused.status == 422
    assert "too long" in refused.text


def test_an_object_that_its_values_make_wrong_is_refused(room: Room) -> None:
    assert room.template(changed(priority="{{ note }}")).status == 200
    refused = room.host("a", note="high")
    assert refused.status == 422
    assert "$.objects[0].spec.priority" in refused.text


def test_the_example_of_the_reference_works(world: World) -> None:
    admin = world.set_up()
    section = PAGE.read_text().partition("## Templates")[2].partition("\n## ")[0]
    found = re.findall(r"(PUT) /api/v1(\S+)\n(\{[^\n]*\}|\{.*?\n\})\n```", section, re.DOTALL)
    assert len(found) == 4
    for method, path, body in found:
        done = world.ask(method, path, json.loads(body), admin)
        assert done.status == 200, done.text
    made: Any = world.ask("GET", f"{W}/virtual-hosts/shop", token=admin).json
    assert made["objects"] == ["routes/shop.example.json"]
