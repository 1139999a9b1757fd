"""What a preview says of each fleet, by what its agents reported; both databases."""

from pathlib import Path
from typing import Any

import pytest
from master_world import LISTENER, ROUTE, UPSTREAM, World
from tls_authority import Authority

from headgate.certificates.authority import new_csr, new_key
from headgate.fleet.frames import Heartbeat, Held, Hello, Instance
from headgate.master.domains.templates import rendering
from headgate.master.domains.templates import service as templates
from headgate.master.fleet.book import AgentFacts

W = "/workspaces/default"
ACCEPTED = Path(__file__).parents[1] / "golden" / "nginx" / "accepted.txt"
NGINX = (*ACCEPTED.read_text(encoding="utf-8").split(), "mode=full", "endpoints=reload")
SLOW = {"timeouts": {"request": "5s"}}
"""What no nginx can do."""


@pytest.fixture
def admin(world: World) -> str:
    """A master with a config and a fleet; the administrator's token."""
    token = world.set_up()
    made = world.ask("POST", f"{W}/fleets", {"name": "edge"}, token)
    assert made.status == 201, made.text
    for path, spec in (
        ("listeners/web", LISTENER),
        ("routes/api", ROUTE),
        ("upstreams/api", UPSTREAM),
    ):
        answer = world.ask("PUT", f"{W}/resources/{path}", {"spec": spec}, token)
        assert answer.status == 200, answer.text
    return token


def joined(world: World, admin: str, instance: Instance | None) -> str:
    """An agent of the fleet that says this of its engine; None: it has said nothing yet."""
    token = world.ask("POST", f"{W}/join-tokens", {"fleet": "edge"}, admin)["token"]
    book = world.master.book
    facts = AgentFacts("node-1", "1.0", {})
    agent = world.runner.run(book.enrol(token, new_csr(new_key()), facts, "192.0.2.7")).agent
    if instance is not None:
        hello = Hello(agent, 1, "1.0", (instance,), Held())
        world.runner.run(book.joined(agent, hello, "192.0.2.7"))
    return agent


def preview(world: World, admin: str, *changes: object) -> Any:
    """The preview of the only fleet."""
    body = {"changes": list(changes)}
    seen = world.ask("POST", f"{W}/preview", body, admin)
    assert seen.status == 200, seen.text
    fleets: Any = seen.json["fleets"]
    (fleet,) = fleets
    return fleet


def change(kind: str, name: str, spec: object) -> dict[str, object]:
    return {"kind": kind, "name": name, "spec": spec}


def test_it_says_what_an_nginx_of_the_fleet_cannot_do_and_publishing_refuses_it(
    world: World, admin: str
) -> None:
    joined(world, admin, Instance("default", "native", "1"))
    joined(world, admin, Instance("default", "nginx", "nginx/1.22.1", NGINX))
    joined(world, admin, Instance("default", "nginx", "nginx/1.22.1", NGINX))
    fleet = preview(world, admin, change("routes", "api", ROUTE | SLOW))
    native, nginx = fleet["engines"]
    assert (native["engine"], native["agents"], native["refuses"]) == ("native", 1, [])
    assert (nginx["engine"], nginx["agents"], nginx["is_known"]) == ("nginx", 2, True)
    (only,) = nginx["refuses"]
    assert (only["object"], only["path"]) == ("routes/api.json", "$.timeouts.request")
    assert only["detail"]
    assert "native" in only["allowed"]
    world.ask("PUT", f"{W}/resources/routes/api", {"spec": ROUTE | SLOW}, admin)
    refused = world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin)
    assert (refused.status, refused["type"]) == (422, "urn:headgate:problem:engine-refuses")
    errors: Any = refused.json["errors"]
    assert [one["path"] for one in errors] == ["routes/api.json: $.timeouts.request"]
    assert world.ask("GET", f"{W}/revisions", token=admin).items == []
    world.ask("PUT", f"{W}/resources/routes/api", {"spec": ROUTE}, admin)
    assert world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin).status == 201


def test_it_says_so_once_an_agent_has_asked_its_nginx(world: World, admin: str) -> None:
    agent = joined(world, admin, Instance("default", "nginx", ""))
    slow = change("routes", "api", ROUTE | SLOW)
    (before,) = preview(world, admin, slow)["engines"]
    assert (before["is_known"], before["refuses"]) == (False, [])
    words = (*NGINX, "module=http_lua", *(f"w{number}" for number in range(2_000)))
    said = Heartbeat(Held(), instances=(Instance("default", "nginx", "nginx/1.22.1", words),))
    world.runner.run(world.master.book.seen(agent, said))
    world.runner.run(world.master.book.seen(agent, Heartbeat(Held())))
    (after,) = preview(world, admin, slow)["engines"]
    assert (after["version"], after["is_known"]) == ("nginx/1.22.1", True)
    assert [one["path"] for one in after["refuses"]] == ["$.timeouts.request"]
    shown: Any = world.ask("GET", f"{W}/agents/{agent}", token=admin).json["facts"]
    assert (shown["program"], shown["address"]) == ("1.0", "192.0.2.7")
    (engine,) = shown["engines"]
    assert "module=http_lua" in engine["capabilities"]
    assert len(engine["capabilities"]) == 512


def test_it_says_whether_each_engine_reloads(world: World, admin: str) -> None:
    joined(world, admin, Instance("default", "native", "1"))
    joined(world, admin, Instance("default", "nginx", "nginx/1.22.1", NGINX))
    assert world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin).status == 201
    same = preview(world, admin)
    assert [one["change"] for one in same["engines"]] == ["none", "none"]
    assert (same["revision"], same["objects"]) == (1, [])
    other = {"endpoints": ["127.0.0.1:9001"]}
    moved = preview(world, admin, change("upstreams", "api", other))
    assert [one["change"] for one in moved["engines"]] == ["in-place", "reload"]


def test_it_says_which_agents_it_does_not_know(world: World, admin: str) -> None:
    joined(world, admin, None)
    joined(world, admin, Instance("default", "nginx", "", ()))
    fleet = preview(world, admin)
    assert fleet["unheard"] == 1
    (nginx,) = fleet["engines"]
    assert (nginx["is_known"], nginx["change"]) == (False, "unknown")
    # Nobody knows better: the agents themselves will tell.
    assert world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin).status == 201


def test_it_says_which_requests_would_go_elsewhere(world: World, admin: str) -> None:
    assert world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin).status == 201
    fleet = preview(
        world,
        admin,
        change("upstreams", "new", UPSTREAM),
        change("routes", "api", ROUTE | {"upstream": "new"}),
        change("routes", "b", {"hosts": ["b.example"], "upstream": "api"}),
    )
    requests = fleet["requests"]
    assert (requests["source"], requests["asked"], requests["more"]) == ("made", 2, 0)
    assert [(one["url"], one["before"], one["after"]) for one in requests["moved"]] == [
        ("http://a.example/", "upstream api", "upstream new"),
        ("http://b.example/", "404: no route takes it", "upstream api"),
    ]


def test_a_key_that_does_not_fit_its_certificate_is_refused_here(
    world: World, admin: str, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    for name, file in (
        ("web.crt", authority.issue("one", "localhost").cert_file),
        ("web.key", authority.issue("two", "localhost").key_file),
    ):
        secret = {"content": Path(file).read_text()}
        assert world.ask("PUT", f"{W}/secrets/{name}", secret, admin).status == 200
    pair = {"cert_file": "secrets/web.crt", "key_file": "secrets/web.key"}
    changes = [change("certificates", "web", pair)]
    seen = world.ask("POST", f"{W}/preview", {"changes": changes}, admin)
    errors: Any = seen.json["errors"]
    assert [one["path"].partition(":")[0] for one in errors] == ["certificates/web.json"]
    fleets: Any = seen.json["fleets"]
    assert [(one["errors"], one["engines"]) for one in fleets] == [(errors, [])]
    put = world.ask("PUT", f"{W}/resources/certificates/web", {"spec": pair}, admin)
    assert put.status == 200, put.text
    assert world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin).status == 422


def test_templates_that_would_make_too_much_are_refused_early(
    world: World, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewer may ask for it, so it must cost little."""
    renderings: list[object] = []
    original = rendering.rendered

    def counted(*given: Any) -> Any:
        renderings.append(given[1])
        return original(*given)

    monkeypatch.setattr(templates, "rendered", counted)
    values = {f"x-{index}": "{{a}}" * 8 for index in range(32)}
    wide = [
        {"kind": "middlewares", "name": f"m{index}-{{{{b}}}}", "spec": {"response_headers": spec}}
        for index, spec in enumerate([{"set": values}] * 50)
    ]
    many = [one | {"spec": {"response_headers": {"set": {"x-a": "b"}}}} for one in wide]
    for objects, what, most in ((wide, "16 MiB", 2), (many, "10000 objects", 201)):
        renderings.clear()
        answer = world.ask("POST", f"{W}/preview", planned(objects, 300), admin)
        assert answer.status == 422, answer.text
        assert what in answer["detail"]
        assert len(renderings) == most


def planned(objects: list[Any], count: int) -> dict[str, object]:
    """A template with two parameters, and so many virtual hosts of it."""
    long = {"type": "string", "longest": 1_000, "default": "v" * 1_000}
    template = {"parameters": {"a": long, "b": {"type": "integer"}}, "objects": objects}
    hosts = {f"h{one}": {"template": "t", "values": {"b": one}} for one in range(count)}
    return {"templates": {"t": template}, "virtual_hosts": hosts}
