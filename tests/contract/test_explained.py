"""Explanations of a master: the config that an agent serves, or would get, with its own values."""

import json
from pathlib import Path
from typing import Any

import pytest
from fleet_site import AGENTS, QUICK, Site, sited
from master_world import PASSWORD, World

W = "/workspaces/default"
DOCUMENTS = """\
[templates.site.parameters]
path = {{ type = "string" }}
host = {{ type = "string", per_node = true }}

[[templates.site.objects]]
kind = "routes"
name = "{{{{ path }}}}"

[templates.site.objects.spec]
hosts = ["{{{{ host }}}}"]
upstream = "app"
match = [{{ path = {{ prefix = "/{{{{ path }}}}" }} }}]

[virtual_hosts.shop]
template = "site"
values = {{ path = "shop" }}
nodes = {{ {one} = {{ host = "one.example" }}, {two} = {{ host = "two.example" }} }}

[listeners.web]
address = "127.0.0.1:8000"
default = true

[upstreams.app]
endpoints = ["127.0.0.1:9000"]

{more}
"""
STAFF = '[routes.staff]\nhosts = ["one.example"]\nmatch = [{ path = { prefix = "/shop/staff" } }]\n'
STAFF += 'respond = { body = "staff" }\n'


@pytest.fixture
def database_url() -> str:
    """The commands see no database: one is enough."""
    return ""


@pytest.fixture
def site(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A fleet whose two nodes have a host each; a newer route is not published yet."""
    one = sited(world, tmp_path, monkeypatch)
    for more, words in (("", ("--fleet", "edge", "--wait", *QUICK)), (STAFF, ())):
        text = DOCUMENTS.format(one=AGENTS[0], two=AGENTS[1], more=more)
        one.documents.write_text(text)
        one.person.run("apply", "-f", str(one.documents), *words)
    return one


def test_a_master_explains_what_each_node_serves_and_would_get(site: Site) -> None:
    asked = ("explain", "http://one.example/shop/staff", "--agent", AGENTS[0])
    served = site.person.run(*asked).splitlines()
    assert served[0] == f"agent {AGENTS[0]}, revision 1"
    assert any(line.startswith("route shop, match 0, host one.example") for line in served)
    now = site.person.run(*asked, "--resources").splitlines()
    assert now[0] == f"agent {AGENTS[0]}, the workspace's resources"
    assert any(line.startswith("route staff, match 0") for line in now)
    said: Any = json.loads(site.person.run(*asked[:-1], AGENTS[1], "--output", "json"))
    assert (said["revision"], said["name"]) == (1, AGENTS[1])
    assert said["explanation"].get("won") is None, "this node has another host"


def test_what_is_no_request_or_has_no_config_is_refused(site: Site, world: World) -> None:
    run = site.person.run
    assert "not" in run("explain", "nonsense", "--agent", AGENTS[0], code=1)
    assert 'there is no agent "none"' in run("explain", "http://a/", "--agent", "none", code=1)
    run("explain", "http://a/", "--resources", code=2)
    run("explain", "http://a/", "--agent", "a", "-c", str(site.documents), code=2)
    admin = world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})["access_token"]
    token = world.invite(admin, "viv", "viewer")
    path = f"{W}/agents/{AGENTS[0]}/explain"
    assert world.ask("POST", path, {"url": "http://one.example/"}, token).status == 200
    wrong = world.ask("POST", path, {"url": "http://a/", "client": "x"}, token)
    assert (wrong.status, wrong["type"]) == (422, "urn:headgate:problem:invalid")
    assert world.ask("POST", path, {"url": "http://a/", "config": "old"}, token).status == 422
    assert world.ask("POST", f"{W}/agents/none/explain", {"url": "http://a/"}, token).status == 404
