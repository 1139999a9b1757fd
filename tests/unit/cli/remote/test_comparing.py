"""What `headgate diff` with a master shows of documents, of revisions and of an agent."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_master import SHOP, ScriptedMaster, installed, left

from headgate.cli.remote.comparing import Asked, diff, differences
from headgate.cli.remote.documents import Key, Spec
from headgate.cli.remote_commands import opened

API: dict[str, object] = {"endpoints": ["127.0.0.1:9001"]}
WEB: dict[str, object] = {"endpoints": ["127.0.0.1:9002"]}
EDGE: dict[str, object] = {"id": "f1", "name": "edge", "revision": 7}
DOCUMENT = '[upstreams.api]\nendpoints = ["127.0.0.1:9001"]\n'
Command = Callable[..., int]


def resource(name: str, spec: dict[str, object], **more: object) -> dict[str, object]:
    return {"kind": "upstreams", "name": name, "path": f"upstreams/{name}", "spec": spec, **more}


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    one = installed(monkeypatch, tmp_path / "home")
    one.answers = {
        f"GET {SHOP}/resources": {"items": [resource("api", API), resource("web", WEB)]},
        f"GET {SHOP}/templates": {"items": []},
        f"GET {SHOP}/virtual-hosts": {"items": []},
        f"GET {SHOP}/fleets": {"items": [EDGE]},
        f"GET {SHOP}/revisions": {"items": [{"id": "v8", "number": 8}, {"id": "v7", "number": 7}]},
        f"GET {SHOP}/revisions/v7/config": {"resources": [resource("api", API)]},
        f"GET {SHOP}/revisions/v8/config": {"resources": [resource("new", API)]},
    }
    return one


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Command:
    return lambda *arguments: left(monkeypatch, *arguments)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "site.toml"
    file.write_text(DOCUMENT)
    return file


def test_objects_that_differ_come_by_kind_and_name_with_both_sides() -> None:
    before: dict[Key, Spec] = {
        ("routes", "b"): {"x": 1, "y": 2},
        ("routes", "a"): {"x": 1},
        ("hosts", "c"): {},
    }
    after: dict[Key, Spec] = {
        ("routes", "d"): {"z": 1},
        ("routes", "b"): {"x": 1, "y": 3, "w": 4},
        ("routes", "a"): {"x": 1},
    }
    found = [(one.change, one.kind, one.name, one.keys) for one in differences(before, after)]
    assert found == [
        ("removed", "hosts", "c", []),
        ("changed", "routes", "b", ["w", "y"]),
        ("added", "routes", "d", []),
    ]


def test_the_order_of_keys_is_no_difference() -> None:
    before: dict[Key, Spec] = {("routes", "a"): {"x": 1, "y": {"b": 1, "a": 2}}}
    assert list(differences(before, {("routes", "a"): {"y": {"a": 2, "b": 1}, "x": 1}})) == []


def test_documents_are_compared_with_the_workspace_line_by_line(
    master: ScriptedMaster, document: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"GET {SHOP}/resources"] = {
        "items": [resource("api", WEB | {"balance": "p2c"}), resource("old", API)]
    }
    assert run("diff", "-f", str(document)) == 0
    assert capsys.readouterr().out == (
        "~ upstreams/api: balance, endpoints\n"
        '    - - "127.0.0.1:9002"\n'
        '    + - "127.0.0.1:9001"\n'
        "    - balance: p2c\n"
        "- upstreams/old\n"
    )
    master.answers[f"GET {SHOP}/resources"] = {"items": [resource("api", API)]}
    assert run("diff", "-f", str(document)) == 0
    assert capsys.readouterr().out == "no object differs\n"


def test_a_program_gets_each_object_with_what_it_was_and_becomes(
    master: ScriptedMaster, document: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("diff", "-f", str(document), "-o", "json") == 0
    said = capsys.readouterr().out
    gone = {"change": "removed", "kind": "upstreams", "name": "web", "keys": [], "before": WEB}
    assert said.endswith("}\n")
    assert json.loads(said) == {"objects": [gone | {"after": None}]}


def test_documents_that_are_away_or_wrong_are_not_compared(
    master: ScriptedMaster, document: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("diff", "-f", f"{document}.none") == 78
    assert f"{document}.none cannot be read: No such file" in capsys.readouterr().err
    document.write_text("[node]\n")
    assert run("diff", "-f", str(document)) == 78
    assert "is not a resource of a workspace" in capsys.readouterr().err
    assert master.asked == []


def test_what_a_virtual_host_makes_is_not_missing_in_the_documents(
    master: ScriptedMaster, document: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    host = {"template": "t", "values": {}, "fleets": [], "nodes": []}
    there = host | {"name": "shop", "objects": ["upstreams/web"]}
    master.answers[f"GET {SHOP}/virtual-hosts"] = {"items": [there]}
    assert run("diff", "-f", str(document)) == 0
    assert capsys.readouterr().out == "- virtual_hosts/shop\n"


def test_the_fleets_of_an_object_differ_only_where_the_document_names_them(
    master: ScriptedMaster, document: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [resource("api", API, fleets={"tier": "a"}), resource("web", API, fleets={})]
    master.answers[f"GET {SHOP}/resources"] = {"items": items}
    web = DOCUMENT.replace("api", "web")
    document.write_text(DOCUMENT + web)
    assert run("diff", "-f", str(document)) == 0
    assert capsys.readouterr().out == "no object differs\n"
    document.write_text(f'{DOCUMENT}fleets = {{ tier = "b" }}\n{web}')
    assert run("diff", "-f", str(document), "-o", "json") == 0
    (found,) = json.loads(capsys.readouterr().out)["objects"]
    assert (found["name"], found["keys"]) == ("api", ["fleets"])
    assert found["before"] == API | {"fleets": {"tier": "a"}}
    assert found["after"] == API | {"fleets": {"tier": "b"}}


def test_only_the_objects_of_a_set_are_compared_if_one_is_named(
    master: ScriptedMaster, document: Path, run: Command
) -> None:
    assert run("diff", "-f", str(document), "--set", "web") == 0
    (asked,) = [one for one in master.asked if one.path == f"{SHOP}/resources"]
    assert asked.query["set"] == "web"


@pytest.mark.parametrize(
    ("revision", "line"),
    [("served", "+ upstreams/web\n"), ("7", "+ upstreams/web\n"), ("newest", None)],
)
def test_a_revision_of_a_fleet_is_compared_with_the_workspace(
    master: ScriptedMaster,
    run: Command,
    capsys: pytest.CaptureFixture[str],
    revision: str,
    line: str | None,
) -> None:
    assert run("diff", "--fleet", "edge", "--revision", revision) == 0
    every = "+ upstreams/api\n- upstreams/new\n+ upstreams/web\n"
    assert capsys.readouterr().out == (line or every)
    (asked,) = [one for one in master.asked if one.path.endswith("/config")]
    assert asked.query == {}
    assert diff(opened(), Asked([], "edge", revision), "text") == 0
    lists = [one.query["fleet"] for one in master.asked if one.path == f"{SHOP}/revisions"]
    assert set(lists) == {"f1"}


def test_documents_are_compared_with_a_revision_unless_they_have_templates(
    master: ScriptedMaster, document: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("diff", "-f", str(document), "--fleet", "edge", "--revision", "8") == 0
    assert capsys.readouterr().out == "+ upstreams/api\n- upstreams/new\n"
    for more in ('[templates.t]\nobjects = ""\n', '[virtual_hosts.v]\ntemplate = "t"\n'):
        document.write_text(DOCUMENT + more)
        assert run("diff", "-f", str(document), "--fleet", "edge") == 1
        assert "a revision has no templates" in capsys.readouterr().err


def test_a_fleet_without_the_revision_that_is_meant_says_so(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"GET {SHOP}/fleets"] = {"items": [EDGE | {"revision": None}]}
    assert run("diff", "--fleet", "edge") == 1
    assert "edge serves no revision yet; compare with --revision newest" in capsys.readouterr().err
    master.answers[f"GET {SHOP}/revisions"] = {"items": []}
    assert run("diff", "--fleet", "edge", "--revision", "newest") == 1
    assert "nothing was published to fleet edge yet" in capsys.readouterr().err


def test_an_agent_is_compared_with_what_it_would_get_now(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers |= {
        f"GET {SHOP}/agents": {"items": [{"id": "a1", "name": "n1"}]},
        f"GET {SHOP}/agents/a1/config": {"resources": [resource("own", API)]},
    }
    assert run("diff", "--fleet", "edge", "--node", "n1") == 0
    assert capsys.readouterr().out == "- upstreams/api\n+ upstreams/own\n"
    (agents,) = [one for one in master.asked if one.path == f"{SHOP}/agents"]
    (revision,) = [one for one in master.asked if one.path == f"{SHOP}/revisions/v7/config"]
    assert agents.query["fleet"] == "f1"
    assert revision.query == {"agent": "a1"}
