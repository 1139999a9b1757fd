"""What `apply`, `publish` and `export` ask of a master, print, and end with."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_master import SHOP, ScriptedMaster, installed, left

from headgate.cli.remote import documents, publishing, rollout_view, templating

DOCUMENT = '[upstreams.api]\nendpoints = ["127.0.0.1:9001"]\n'
API: dict[str, object] = {
    "kind": "upstreams",
    "path": "upstreams/api",
    "name": "api",
    "spec": {"endpoints": ["127.0.0.1:9001"]},
    "id": "i1",
    "version": 3,
    "changed_by": "u1",
}
EDGE: dict[str, object] = {"id": "f1", "name": "edge", "revision": 7}
ROLLOUT: dict[str, object] = {
    "id": "r1",
    "fleet": "f1",
    "revision": 8,
    "base": 7,
    "status": "succeeded",
    "reason": "",
    "agents": [{"agent": "a", "serving": 8}],
    "timeline": [{"at": "T1", "text": "wave 1 begins"}],
}
ADDED = "added    upstreams/api\n"
Command = Callable[..., int]


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    for module in (publishing, rollout_view):
        monkeypatch.setattr(module, "_INTERVAL_S", 0.0)
    one = installed(monkeypatch, tmp_path / "home")
    one.answers = {
        "GET /auth/me": {"id": "u1", "name": "ann"},
        f"GET {SHOP}/resources": {"items": []},
        f"GET {SHOP}/templates": {"items": []},
        f"GET {SHOP}/virtual-hosts": {"items": []},
        f"POST {SHOP}/preview": {"objects": [], "fleets": []},
        f"PUT {SHOP}/resources/upstreams/api": {},
        f"DELETE {SHOP}/resources/upstreams/api": None,
        f"GET {SHOP}/fleets": {"items": [EDGE]},
        f"GET {SHOP}/revisions": {"items": [{"number": 8}]},
        f"POST {SHOP}/revisions": {"number": 8},
        f"GET {SHOP}/rollouts": {"items": []},
        f"POST {SHOP}/rollouts": {"id": "r1"},
        f"GET {SHOP}/rollouts/r1": ROLLOUT,
    }
    return one


@pytest.fixture
def document(tmp_path: Path) -> str:
    file = tmp_path / "site.toml"
    file.write_text(DOCUMENT)
    return str(file)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Command:
    return lambda *arguments: left(monkeypatch, *arguments)


def test_what_a_preview_refuses_changes_nothing(
    master: ScriptedMaster, document: str, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = {"path": "upstreams.api", "detail": "is unused", "allowed": "name it"}
    warning = {"path": "routes.a", "detail": "is hidden"}
    master.answers[f"POST {SHOP}/preview"] = {"errors": [fault], "warnings": [warning]}
    assert run("apply", "-f", document) == 78
    said = capsys.readouterr()
    assert said.err == ("warning: routes.a: is hidden\nerror: upstreams.api: is unused; name it\n")
    assert said.out == ""
    assert not master.bodies("PUT", f"{SHOP}/resources/upstreams/api")


def test_what_others_wrote_does_not_reach_the_terminal_as_it_is(
    master: ScriptedMaster, document: str, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    warning = {"path": "routes.a", "detail": "is \x1b[8m"}
    engine = {"engine": "nginx", "version": "1", "agents": 1, "change": "", "refuses": []}
    requests = {"asked": 0, "unsearched": 0, "source": "made", "moved": [], "more": 0}
    fleet = {"fleet": "edge", "nodes": [], "engines": [engine | {"notes": ["\x1b[2J\nnote"]}]}
    said = {"warnings": [warning], "fleets": [fleet | {"requests": requests}]}
    master.answers[f"POST {SHOP}/preview"] = said
    assert run("apply", "-f", document, "--preview") == 0
    said_now = capsys.readouterr()
    assert said_now.err == "warning: routes.a: is ?[8m\n"
    assert said_now.out == f"{ADDED}engine   edge: nginx 1: ?[2J?note\n"
    held = ROLLOUT | {"status": "undone", "reason": "\x1b[2J"}
    master.answers[f"GET {SHOP}/rollouts/r1"] = held
    assert run("publish", "edge", "--wait") == 3
    assert "was undone: ?[2J" in capsys.readouterr().err


def test_changes_are_made_once_and_a_preview_makes_none(
    master: ScriptedMaster, document: str, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    put = f"{SHOP}/resources/upstreams/api"
    assert run("apply", "-f", document, "--preview", "--fleet", "edge") == 0
    assert capsys.readouterr().out == ADDED
    assert not master.bodies("PUT", put)
    assert not master.bodies("POST", f"{SHOP}/rollouts")
    assert run("apply", "-f", document, "-o", "json") == 0
    change = {"change": "added", "kind": "upstreams", "name": "api"}
    shown = json.loads(capsys.readouterr().out)
    assert shown == {"changes": [change], "is_preview": False}
    assert master.bodies("PUT", put) == [{"spec": API["spec"]}]


def test_labels_of_fleets_are_written_with_their_object(
    master: ScriptedMaster, tmp_path: Path, run: Command
) -> None:
    put = f"{SHOP}/resources/upstreams/api"
    master.answers[f"GET {SHOP}/resources"] = {"items": [API | {"fleets": {"tier": "front"}}]}
    assert run("export", str(tmp_path / "out")) == 0
    master.answers[f"GET {SHOP}/resources"] = {"items": []}
    assert run("apply", "-f", str(tmp_path / "out")) == 0
    assert master.bodies("PUT", put) == [{"spec": API["spec"], "fleets": {"tier": "front"}}]
    (preview,) = master.bodies("POST", f"{SHOP}/preview")
    assert isinstance(preview, dict)
    assert preview["changes"][0]["fleets"] == {"tier": "front"}


def test_a_preview_asks_for_the_requests_of_a_fleets_nodes_only_if_told(
    master: ScriptedMaster, document: str, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("apply", "-f", document, "--preview") == 0
    assert run("apply", "-f", document, "--preview", "--seen") == 0
    assert run("apply", "-f", document, "--preview", "--fleet", "edge") == 0
    first, second, third = master.bodies("POST", f"{SHOP}/preview")
    assert isinstance(first, dict) and isinstance(second, dict) and isinstance(third, dict)
    assert ("seen" in first, second["seen"], "seen" in third) == (False, "edge", False)
    assert run("apply", "-f", document, "--seen") == 2
    assert "--preview" in capsys.readouterr().err


def test_only_a_preview_shows_what_the_fleets_would_do(
    master: ScriptedMaster, document: str, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    node = {
        "name": "n1",
        "agent": "a1",
        "digest": "ab" * 32,
        "objects": [{"path": "upstreams/api"}],
    }
    requests = {"source": "made", "asked": 0, "unsearched": 0, "moved": [], "more": 0}
    fleet = {"fleet": "edge", "nodes": [node], "engines": [], "requests": requests}
    master.answers[f"POST {SHOP}/preview"] = {"objects": [], "fleets": [fleet]}
    assert run("apply", "-f", document, "--preview") == 0
    assert "node     edge/n1: abababababab, 1 objects differ\n" in capsys.readouterr().out
    assert run("apply", "-f", document) == 0
    assert capsys.readouterr().out == ADDED
    assert run("apply", "-f", document, "--preview", "-o", "json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [one["node"] for one in shown["nodes"]] == ["n1"]
    assert shown["fleets"] == [{"fleet": "edge", "engines": [], "requests": requests}]
    assert run("apply", "-f", document, "-o", "json") == 0
    assert list(json.loads(capsys.readouterr().out)) == ["changes", "is_preview"]


def test_an_import_needs_its_secrets_at_the_master_first(
    master: ScriptedMaster,
    document: str,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gather = documents.gather
    key = {"/etc/site.key": "site.key"}
    monkeypatch.setattr(documents, "gather", lambda files: replace(gather(files), secrets=key))
    master.answers[f"GET {SHOP}/secrets"] = [{"items": []}, {"items": [{"name": "site.key"}]}]
    assert run("apply", "-f", document) == 78
    said = capsys.readouterr()
    assert said.err.startswith("error: /etc/site.key is a file of this host, and the workspace has")
    assert said.out == ""
    assert [one.method for one in master.asked] == ["GET"]
    assert run("apply", "-f", document) == 0
    assert capsys.readouterr().out == ADDED


def test_a_draft_of_other_virtual_hosts_is_named(
    master: ScriptedMaster,
    document: str,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(templating, "carry_out", lambda *_: ["shop-1"])
    assert run("apply", "-f", document) == 0
    assert capsys.readouterr().err == (
        "the draft shop-1 has what other virtual hosts of a changed template become; publish or"
        " remove it\n"
    )


def test_nothing_to_change_asks_for_no_preview(
    master: ScriptedMaster, document: str, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"GET {SHOP}/resources"] = {"items": [API]}
    assert run("apply", "-f", document) == 0
    assert capsys.readouterr().out == "everything is as the documents say\n"
    assert not master.bodies("POST", f"{SHOP}/preview")


def test_only_a_prune_removes(
    master: ScriptedMaster, tmp_path: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"GET {SHOP}/resources"] = {"items": [API]}
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.toml").write_text("")
    assert run("apply", "-f", str(tmp_path / "none")) == 0
    assert run("apply", "-f", str(tmp_path / "none"), "--prune") == 0
    assert capsys.readouterr().out.endswith("removed  upstreams/api\n")
    assert len(master.bodies("DELETE", f"{SHOP}/resources/upstreams/api")) == 1


def test_a_set_is_said_with_every_write_and_the_default_one_is_not(
    master: ScriptedMaster, document: str, run: Command
) -> None:
    assert run("apply", "-f", document) == 0
    assert run("apply", "-f", document, "--set", "web") == 0
    assert run("apply", "-f", document, "--set", "web", "--take-over") == 0
    puts = [one.query for one in master.asked if one.method == "PUT"]
    assert puts == [{}, {"set": "web"}, {"set": "web", "take_over": "true"}]
    previews = master.bodies("POST", f"{SHOP}/preview")
    said = [(one.get("set"), one.get("take_over")) for one in previews]  # type: ignore[attr-defined]
    assert said == [(None, None), ("web", None), ("web", True)]
    changes = [one["changes"][0].get("set") for one in previews]  # type: ignore[index]
    assert changes == [None, "web", "web"]


def test_objects_of_other_sets_are_refused_with_their_sets_until_they_are_taken_over(
    master: ScriptedMaster, document: str, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"GET {SHOP}/resources"] = {"items": [API | {"set": "web"}]}
    for words in ((), ("--preview",), ("--set", "api")):
        assert run("apply", "-f", document, *words) == 1
        said = capsys.readouterr()
        assert 'upstreams/api belongs to the set "web"' in said.err
        assert "--take-over" in said.err
        assert said.out == ""
    assert not master.bodies("POST", f"{SHOP}/preview")
    assert run("apply", "-f", document, "--set", "web") == 0
    assert capsys.readouterr().out == "everything is as the documents say\n"
    assert run("apply", "-f", document, "--take-over") == 0
    assert capsys.readouterr().out == "taken    upstreams/api\n"
    (put,) = [one for one in master.asked if one.method == "PUT"]
    assert (put.query, put.headers["if-match"]) == ({"take_over": "true"}, '"3-i1"')


def test_a_prune_of_a_set_takes_what_is_of_it_whoever_wrote_it(
    master: ScriptedMaster, tmp_path: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"mine": ("u1", "web"), "theirs": ("u2", "web"), "other": ("u1", "api")}
    names |= {"loose": ("u1", "default"), "foreign": ("u2", "default")}
    items = [
        API | {"name": name, "path": f"upstreams/{name}.json", "changed_by": by, "set": of}
        for name, (by, of) in names.items()
    ]
    master.answers[f"GET {SHOP}/resources"] = {"items": items}
    master.answers |= {f"DELETE {SHOP}/resources/upstreams/{name}": None for name in names}
    (tmp_path / "none").mkdir()
    assert run("apply", "-f", str(tmp_path / "none"), "--prune", "--set", "web") == 0
    assert capsys.readouterr().out == "removed  upstreams/mine\nremoved  upstreams/theirs\n"
    assert run("apply", "-f", str(tmp_path / "none"), "--prune") == 0
    assert capsys.readouterr().out == "removed  upstreams/loose\n"
    queries = [one.query for one in master.asked if one.method == "DELETE"]
    assert queries == [{"set": "web"}, {"set": "web"}, {}]


def test_an_export_can_be_that_of_one_set(
    master: ScriptedMaster, tmp_path: Path, run: Command
) -> None:
    host = {"template": "t", "values": {}, "fleets": {}, "nodes": {}, "objects": []}
    master.answers[f"GET {SHOP}/virtual-hosts"] = {
        "items": [host | {"name": one, "set": one} for one in ("web", "api")]
    }
    out = tmp_path / "out"
    assert run("export", str(out), "--set", "web") == 0
    (asked,) = [one for one in master.asked if one.path == f"{SHOP}/resources"]
    assert asked.query["set"] == "web"
    assert [one.name for one in (out / "virtual_hosts").iterdir()] == ["web.yaml"]


def test_documents_that_are_wrong_or_away_ask_nothing_of_the_master(
    master: ScriptedMaster, tmp_path: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[node]\n")
    assert run("apply", "-f", str(bad)) == 78
    assert "is not a resource of a workspace" in capsys.readouterr().err
    assert run("apply", "-f", str(tmp_path / "none.toml")) == 78
    assert "none.toml" in capsys.readouterr().err
    assert master.asked == []


def test_a_fleet_gets_the_revision_and_waits_only_if_asked(
    master: ScriptedMaster, document: str, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"POST {SHOP}/preview"] = {"objects": ["upstreams/api"], "fleets": []}
    assert run("apply", "-f", document, "--fleet", "edge", "-m", "new") == 0
    made = "revision 8 of fleet edge is made; rollout r1 brings it\n"
    assert capsys.readouterr().out == ADDED + made
    (revision,) = master.bodies("POST", f"{SHOP}/revisions")
    assert revision == {"fleet": "f1", "message": "new", "draft": None, "is_served": False}
    assert not [one for one in master.asked if one.path == f"{SHOP}/rollouts/r1"]
    assert run("apply", "-f", document, "--wait") == 0
    line, end = "T1  wave 1 begins\n", "revision 8 is serving on all 1 agents\n"
    assert capsys.readouterr().out == ADDED + made + line + end


def test_a_revision_that_is_there_needs_no_rollout_and_is_waited_for(
    master: ScriptedMaster, document: str, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"GET {SHOP}/fleets"] = {"items": [EDGE | {"revision": 8}]}
    behind = {"id": "a", "state": "serving", "revisions": {"serving": 7}}
    there = behind | {"revisions": {"serving": 8}}
    master.answers[f"GET {SHOP}/agents"] = [{"items": [behind]}, {"items": [there]}]
    assert run("apply", "-f", document, "--wait") == 0
    assert capsys.readouterr().out == (
        f"{ADDED}revision 8 of fleet edge is there already\nrevision 8 is serving on all 1 agents\n"
    )
    assert not master.bodies("POST", f"{SHOP}/rollouts")


@pytest.mark.parametrize("output", ["table", "json"])
def test_the_exit_code_says_how_a_rollout_ended(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    master.answers[f"GET {SHOP}/rollouts/r1"] = ROLLOUT | {"status": "undone", "reason": "gate"}
    assert run("publish", "edge", "--wait", "-o", output) == 3
    said = capsys.readouterr()
    assert "rollout r1 of revision 8 was undone: gate; " in said.err
    if output == "json":
        shown = json.loads(said.out)
        assert (shown["end"], shown["rollout"], shown["fleet"]) == ("undone", "r1", "edge")


def test_a_program_reads_one_document_of_a_rollout_that_went_well(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("publish", "edge", "--wait", "-o", "json", "--waves", "1, rest", "--soak", "5") == 0
    assert json.loads(capsys.readouterr().out) == {
        "fleet": "edge",
        "revision": 8,
        "rollout": "r1",
        "end": "serving",
        "text": "revision 8 is serving on all 1 agents",
    }
    (body,) = master.bodies("POST", f"{SHOP}/rollouts")
    gates = {"min_requests": 50}
    wanted = {"fleet": "f1", "revision": 8, "waves": ["1", "rest"], "soak_s": 5.0, "gates": gates}
    assert body == wanted


def test_a_limit_of_a_gate_goes_along_and_a_wrong_one_publishes_nothing(
    master: ScriptedMaster, document: str, run: Command
) -> None:
    master.answers[f"POST {SHOP}/preview"] = {"objects": ["upstreams/api"], "fleets": []}
    fleet = ("apply", "-f", document, "--fleet", "edge")
    for words in (("publish", "edge"), fleet):
        assert run(*words, "--gate", "failed_applies") == 2
        assert master.bodies("POST", f"{SHOP}/revisions") == []
    for words in (("publish", "edge"), fleet):
        assert run(*words, "--gate", "failed_applies=1") == 0
    for body in master.bodies("POST", f"{SHOP}/rollouts"):
        assert isinstance(body, dict)
        assert body["gates"] == {"min_requests": 50, "failed_applies": 1}


def test_a_revision_without_a_rollout_is_not_waited_for(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run("publish", "edge", "--no-rollout", "--wait", "--draft", "sale", "--draft-tag", "3-d1")
        == 0
    )
    assert capsys.readouterr().out == "revision 8 of fleet edge is made\n"
    assert not master.bodies("POST", f"{SHOP}/rollouts")
    (revision,) = master.bodies("POST", f"{SHOP}/revisions")
    assert isinstance(revision, dict)
    assert (revision["draft"], revision["draft_tag"]) == ("sale", "3-d1")


def test_a_publish_that_waits_for_nobody_ends_once_the_rollout_is_made(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("publish", "edge", "-o", "json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == {"fleet": "edge", "revision": 8, "rollout": "r1"}
    assert not [one for one in master.asked if one.path == f"{SHOP}/rollouts/r1"]


def test_an_export_that_cannot_be_written_fails_with_its_file(
    master: ScriptedMaster, tmp_path: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"GET {SHOP}/resources"] = {"items": [API]}
    assert run("export", str(tmp_path / "out")) == 0
    assert capsys.readouterr().out == f"1 documents are in {tmp_path / 'out'}\n"
    (tmp_path / "file").write_text("")
    assert run("export", str(tmp_path / "file")) == 1
    said = capsys.readouterr()
    assert "cannot be written: " in said.err
    assert said.out == ""
