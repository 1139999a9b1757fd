"""Documents with templates and virtual hosts, against the whole REST application."""

import json
from pathlib import Path
from typing import Any

import pytest
from fleet_site import AGENTS, Site, sited
from master_world import World

TEMPLATES = """\
[templates.bound.parameters]
host = {{ type = "host" }}
address = {{ type = "string", per_node = true }}

[[templates.bound.objects]]
kind = "listeners"
name = "web"
spec = {{ address = "{{{{ address }}}}:8000", default = true }}

[[templates.bound.objects]]
kind = "routes"
name = "{{{{ host }}}}"
spec = {{ hosts = ["{{{{ host }}}}"], upstream = "app"{more} }}

[virtual_hosts.shop]
template = "bound"
values = {{ host = "shop.example" }}
nodes = {{ {nodes} }}

[upstreams.app]
endpoints = ["127.0.0.1:9000"]
"""
ADDRESSES = dict(zip(AGENTS, ("127.0.0.1", "127.0.0.2"), strict=True))
BOTH = ", ".join(f'{name} = {{ address = "{one}" }}' for name, one in ADDRESSES.items())
ONE = BOTH.partition(", ")[0]


class Documents:
    """A file of documents that is applied."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.file = folder / "bound.toml"

    def apply(self, *words: str, nodes: str = BOTH, more: str = "", code: int = 0) -> str:
        self.file.write_text(TEMPLATES.format(nodes=nodes, more=more))
        said: str = self.site.person.run("apply", "-f", str(self.file), *words, code=code)
        return said

    def get(self, kind: str) -> Any:
        return json.loads(self.site.person.run("get", kind, "-o", "json"))


@pytest.fixture
def database_url() -> str:
    """The commands see no database: one is enough."""
    return ""


@pytest.fixture
def documents(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Documents:
    return Documents(sited(world, tmp_path, monkeypatch), tmp_path)


def test_templates_are_applied_with_what_they_make_and_nothing_twice(documents: Documents) -> None:
    shown = documents.apply("--preview")
    assert shown.splitlines()[:3] == [
        "added    templates/bound",
        "added    virtual_hosts/shop",
        "added    upstreams/app",
    ]
    nodes = [line for line in shown.splitlines()[3:] if line.startswith("node")]
    assert [line.split(":")[0] for line in nodes] == [f"node     edge/{name}" for name in AGENTS]
    assert "that are made out of its routes would go elsewhere" in shown
    assert documents.get("templates") == [], "a preview changes nothing"
    documents.apply("--prune")
    assert [one["name"] for one in documents.get("routes")] == ["shop.example"]
    assert documents.apply("--prune") == "everything is as the documents say\n"
    assert [one["name"] for one in documents.get("listeners")] == ["web"], "it is not pruned"


def test_a_changed_template_takes_its_virtual_hosts_along(documents: Documents) -> None:
    documents.apply()
    assert documents.apply(more=", priority = 7") == "changed  templates/bound\n"
    (route,) = documents.get("routes")
    assert route["spec"]["priority"] == 7
    assert documents.get("drafts") == []
    assert documents.apply(more=", priority = 7") == "everything is as the documents say\n"


def test_a_changed_template_leaves_a_draft_for_other_virtual_hosts(documents: Documents) -> None:
    site = '[templates.site]\nobjects = [{ kind = "upstreams", name = "{{ host }}",'
    site += ' spec = { endpoints = ["127.0.0.1:%d"] } }]\n'
    site += 'parameters = { host = { type = "upstream" } }\n'
    host = '[virtual_hosts.%s]\ntemplate = "site"\nvalues = { host = "%s" }\n'
    for name, port in (("a", 9001), ("b", 9001), ("b", 9002)):
        documents.file.write_text(site % port + host % (name, name))
        documents.site.person.run("apply", "-f", str(documents.file))
    found = {one["name"]: one["spec"]["endpoints"] for one in documents.get("upstreams")}
    assert found == {"a": ["127.0.0.1:9001"], "b": ["127.0.0.1:9002"]}
    (draft,) = documents.get("drafts")
    assert draft["name"] == "template-site"
    assert [one["name"] for one in draft["changes"]] == ["a"], "b is written"


def test_changed_values_stay_when_the_draft_of_the_template_is_published(
    documents: Documents,
) -> None:
    site = '[templates.site]\nobjects = [{ kind = "upstreams", name = "{{ host }}",'
    site += ' spec = { endpoints = ["127.0.0.1:{{ port }}"], limits = { connections = %d } } }]\n'
    site += 'parameters = { host = { type = "upstream" }, port = { type = "integer" } }\n'
    host = '[virtual_hosts.%s]\ntemplate = "site"\nvalues = { host = "%s", port = %d }\n'
    person = documents.site.person
    for most, name, port in ((10, "a", 9001), (10, "b", 9001), (20, "b", 9002)):
        documents.file.write_text(site % most + host % (name, name, port))
        person.run("apply", "-f", str(documents.file))
    person.run("publish", "edge", "--draft", "template-site")
    found = {
        one["name"]: (one["spec"]["endpoints"], one["spec"]["limits"]["connections"])
        for one in documents.get("upstreams")
    }
    assert found == {"a": (["127.0.0.1:9001"], 20), "b": (["127.0.0.1:9002"], 20)}
    said = person.run("apply", "-f", str(documents.file))
    assert said == "everything is as the documents say\n"


def test_a_missing_value_refuses_the_documents_by_file_and_line(documents: Documents) -> None:
    said = documents.apply(nodes=ONE, code=78)
    assert "templates.bound: bound.toml:8: listeners/web.json" in said
    assert f'the parameter "address" has no value for {AGENTS[1]}' in said
    assert documents.get("templates") == []
    assert documents.get("upstreams") == []


def test_new_values_of_a_node_alone_are_published(documents: Documents) -> None:
    quick = ("--fleet", "edge", "--wait", "--soak", "0", "--min-requests", "0")
    assert "revision 1 of fleet edge is made" in documents.apply(*quick)
    assert "revision 1 of fleet edge is there already" in documents.apply(*quick)
    other = BOTH.replace("127.0.0.2", "127.0.0.3")
    said = documents.apply(*quick, nodes=other)
    assert "changed  virtual_hosts/shop" in said
    assert "revision 2 of fleet edge is made" in said


def test_virtual_hosts_that_the_documents_lack_are_pruned(
    documents: Documents, tmp_path: Path
) -> None:
    documents.apply()
    empty = tmp_path / "empty.toml"
    empty.write_text('[upstreams.app]\nendpoints = ["127.0.0.1:9000"]\n')
    said = documents.site.person.run("apply", "-f", str(empty), "--prune")
    assert said == "removed  virtual_hosts/shop\n"
    assert documents.get("virtual-hosts") == []
    assert documents.get("routes") == []
    assert [one["name"] for one in documents.get("templates")] == ["bound"]


def test_diff_and_export_know_templates_and_nodes(documents: Documents, tmp_path: Path) -> None:
    person, quick = documents.site.person, ("--wait", "--soak", "0", "--min-requests", "0")
    documents.apply("--fleet", "edge", *quick)
    out = tmp_path / "out"
    assert person.run("export", str(out)) == f"3 documents are in {out}\n"
    assert person.run("diff", "-f", str(out)) == "no object differs\n"
    assert person.run("apply", "-f", str(out), "--prune") == "everything is as the documents say\n"
    documents.file.write_text(
        TEMPLATES.format(nodes=BOTH.replace("127.0.0.2", "127.0.0.3"), more="")
    )
    said = person.run("diff", "-f", str(documents.file))
    assert said.startswith("~ virtual_hosts/shop: nodes\n")
    assert person.run("apply", "-f", str(documents.file)) == "changed  virtual_hosts/shop\n"
    one, two = (person.run("diff", "--fleet", "edge", "--node", name) for name in AGENTS)
    assert one == "no object differs\n"
    assert two.splitlines()[0] == "~ listeners/web: address"
    assert "127.0.0.2:8000" in two
    assert "127.0.0.3:8000" in two
    refused = person.run("diff", "-f", str(documents.file), "--fleet", "edge", code=1)
    assert "a revision has no templates" in refused
    person.run("diff", "--node", AGENTS[0], code=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[templates.bad]\nparameters = 1\n", "templates.bad.parameters"),
        ("[virtual_hosts.bad]\nvalues = {}\n", "virtual_hosts.bad.template"),
    ],
)
def test_what_is_no_template_is_named(
    documents: Documents, tmp_path: Path, text: str, said: str
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text)
    assert said in documents.site.person.run("apply", "-f", str(wrong), code=1)
