"""What `export` writes makes the same resources elsewhere, with the fleets that they go to."""

import json
from pathlib import Path
from typing import Any

import pytest
from fleet_site import Site
from master_world import PASSWORD, World

TEMPLATED = """\
[templates.site.parameters]
host = { type = "host" }

[[templates.site.objects]]
kind = "routes"
name = "{{ host }}"
spec = { hosts = ["{{ host }}"], upstream = "app" }

[virtual_hosts.shop]
template = "site"
values = { host = "shop.example" }
fleets = { tier = "front" }
"""
STAGED = {"tier": "staging", "zone": "east"}
SAME = "everything is as the documents say\n"


@pytest.fixture
def database_url() -> str:
    """The commands see no database: one is enough."""
    return ""


def resources(site: Site) -> list[tuple[str, Any, Any]]:
    """What the workspace of the context has."""
    kinds = ("listeners", "routes", "upstreams")
    found = [
        one for kind in kinds for one in json.loads(site.person.run("get", kind, "-o", "json"))
    ]
    return [(one["path"], one["spec"], one["fleets"]) for one in found]


def test_an_export_makes_the_same_resources_in_an_empty_workspace(
    site: Site, world: World, tmp_path: Path
) -> None:
    site.write(9001)
    templates = tmp_path / "templates.toml"
    templates.write_text(TEMPLATED)
    site.person.run("apply", "-f", str(site.documents), "-f", str(templates))
    login = world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})
    staged = {"spec": {"hosts": ["a.example"], "upstream": "app"}, "fleets": STAGED}
    path = "/workspaces/default/resources/routes/staged"
    put = world.ask("PUT", path, staged, login["access_token"])
    assert put.status == 200, put.text
    there = resources(site)
    assert [fleets for *_, fleets in there] == [{}, {}, {"tier": "front"}, STAGED, {}]

    out = tmp_path / "out"
    site.person.run("export", str(out))
    assert site.person.run("apply", "-f", str(out), "--prune") == SAME
    assert site.person.run("diff", "-f", str(out)) == "no object differs\n"
    site.person.run("create", "workspace", "other")
    site.person.run("context", "use", "default", "--workspace", "other")
    assert resources(site) == []
    site.person.run("apply", "-f", str(out))
    assert resources(site) == there
    assert site.person.run("apply", "-f", str(out), "--prune") == SAME


def test_documents_say_which_fleets_an_object_goes_to_or_leave_it_as_it_is(
    site: Site, tmp_path: Path
) -> None:
    site.write(9001)
    person, more = site.person, tmp_path / "more.yaml"
    words = ("-f", str(site.documents), "-f", str(more))
    route = "routes:\n  staged:\n    hosts: [a.example]\n    upstream: app\n"

    def fleets() -> object:
        (found,) = [one for one in resources(site) if one[0] == "routes/staged.json"]
        return found[2]

    more.write_text(f"{route}    fleets: {{tier: staging}}\n")
    person.run("apply", *words)
    assert fleets() == {"tier": "staging"}
    more.write_text(route)
    assert person.run("apply", *words) == SAME
    assert person.run("diff", *words) == "no object differs\n"
    assert fleets() == {"tier": "staging"}
    more.write_text(f"{route}    fleets: {{tier: front}}\n")
    assert person.run("diff", *words).splitlines() == [
        "~ routes/staged: fleets",
        "    -   tier: staging",
        "    +   tier: front",
    ]
    assert person.run("apply", *words, "--preview").splitlines()[0] == "changed  routes/staged"
    assert fleets() == {"tier": "staging"}
    assert person.run("apply", *words) == "changed  routes/staged\n"
    assert fleets() == {"tier": "front"}
    more.write_text(f"{route}    fleets: {{}}\n")
    assert person.run("apply", *words) == "changed  routes/staged\n"
    assert fleets() == {}


def test_an_object_for_other_fleets_is_no_reason_to_publish(site: Site, tmp_path: Path) -> None:
    site.write(9001)
    site.apply()
    more = tmp_path / "more.toml"
    more.write_text('[upstreams.b]\nendpoints = ["127.0.0.1:1"]\nfleets = { tier = "staging" }\n')
    said = site.apply("-f", str(more))
    assert said.startswith("added    upstreams/b\nrevision 1 of fleet edge is there already\n")
