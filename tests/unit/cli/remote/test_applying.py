"""Which changes documents make, whose objects they touch, and how each is written."""

from pathlib import Path

import pytest
from scripted_master import SHOP, ScriptedMaster, installed

from headgate.cli.remote.applying import (
    Change,
    Owner,
    carry_out,
    changes,
    present,
    preview,
    write_out,
)
from headgate.cli.remote.client import Json
from headgate.cli.remote.documents import Key, Labels, Spec, Written, gather
from headgate.cli.remote.errors import MasterError
from headgate.cli.remote_commands import opened

ANN = Owner("ann")
WEB = Owner("ann", "web")
SPEC: Spec = {"endpoints": ["a:1"], "balance": "p2c"}


def written(spec: Spec, fleets: Labels | None = None) -> Written:
    return Written(spec, "a.toml", 1, fleets)


def there(name: str, **more: object) -> Json:
    about = {"kind": "upstreams", "name": name, "path": f"upstreams/{name}", "spec": SPEC}
    return {**about, "id": name, "version": 3, "changed_by": "ann", "fleets": {}, **more}


def key(name: str) -> Key:
    return "upstreams", name


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    return installed(monkeypatch, tmp_path / "home")


def test_a_write_says_its_set_unless_it_is_the_default_one() -> None:
    assert (ANN.named(), ANN.query(), ANN.body()) == ({}, {}, {})
    said = {"set": "web"}
    assert (WEB.named(), WEB.query(), WEB.body()) == (said, said, said)
    taking = Owner("ann", "web", take_over=True)
    assert taking.named() == said
    assert taking.query() == said | {"take_over": "true"}
    assert taking.body() == said | {"take_over": True}


def test_an_object_without_a_set_is_of_the_default_one() -> None:
    assert ANN.has({"name": "a"})
    assert not WEB.has({"name": "a"})
    assert WEB.has({"name": "a", "set": "web"})


def test_of_the_default_set_only_what_the_person_wrote_last_is_pruned() -> None:
    assert ANN.may_prune({"changed_by": "ann"})
    assert not ANN.may_prune({"changed_by": "bob"})
    assert not ANN.may_prune({"changed_by": "ann", "set": "web"})
    assert WEB.may_prune({"changed_by": "bob", "set": "web"})
    assert not WEB.may_prune({"changed_by": "ann"})


def test_objects_of_other_sets_are_all_named_unless_they_are_taken_over() -> None:
    known = {
        key("b"): there("b", set="api"),
        key("a"): there("a"),
        key("mine"): there("mine", set="web"),
        key("unasked"): there("unasked"),
    }
    asked = [key("b"), key("mine"), key("a"), key("new")]
    with pytest.raises(MasterError) as refused:
        WEB.require(asked, known)
    assert str(refused.value).splitlines()[1:] == [
        '  upstreams/a belongs to the set "default"',
        '  upstreams/b belongs to the set "api"',
    ]
    assert 'do not belong to the set "web"' in str(refused.value)
    Owner("ann", "web", take_over=True).require(asked, known)
    WEB.require([key("mine"), key("new")], known)


def test_only_what_differs_is_written_in_the_order_of_names() -> None:
    wanted = {
        key("new"): written({}),
        key("same"): written({"balance": "p2c", "endpoints": ["a:1"]}),
        key("other"): written({"endpoints": ["b:1"]}),
    }
    found = changes(wanted, [there("same"), there("other")], ANN, prune=True)
    assert found == [
        Change(*key("new"), {}, ""),
        Change(*key("other"), {"endpoints": ["b:1"]}, "3-other"),
    ]
    assert [one.word for one in found] == ["added", "changed"]


def test_labels_of_fleets_are_compared_only_where_the_document_has_some() -> None:
    one = there("a", fleets={"tier": "a"})
    assert changes({key("a"): written(SPEC)}, [one], ANN, prune=False) == []
    assert changes({key("a"): written(SPEC, {"tier": "a"})}, [one], ANN, prune=False) == []
    (found,) = changes({key("a"): written(SPEC, {})}, [one], ANN, prune=False)
    assert found.content() == {"spec": SPEC, "fleets": {}}
    assert found.body() == {"kind": "upstreams", "name": "a", "spec": SPEC, "fleets": {}}


def test_an_object_of_another_set_is_taken_as_it_is() -> None:
    (found,) = changes({key("a"): written(SPEC)}, [there("a", set="api")], WEB, prune=False)
    assert found == Change(*key("a"), SPEC, "3-a", is_taken=True)
    assert found.word == "taken"
    assert found.content() == {"spec": SPEC}


def test_a_prune_leaves_what_documents_and_virtual_hosts_make_and_what_others_wrote() -> None:
    items = [
        there("gone"),
        there("made"),
        there("kept"),
        there("foreign", changed_by="bob"),
    ]
    wanted = {key("kept"): written(SPEC)}
    assert changes(wanted, items, ANN, {"upstreams/made"}, prune=False) == []
    (found,) = changes(wanted, items, ANN, {"upstreams/made"}, prune=True)
    assert found == Change(*key("gone"), None, "3-gone")
    assert found.word == "removed"


def test_the_resources_are_those_of_the_workspace_or_of_one_set(master: ScriptedMaster) -> None:
    master.answers = {f"GET {SHOP}/resources": {"items": [there("a")]}}
    assert present(opened()) == [there("a")]
    assert present(opened(), "web") == [there("a")]
    assert [one.query.get("set") for one in master.asked] == [None, "web"]


def test_a_preview_says_the_set_with_each_change_and_once_more(master: ScriptedMaster) -> None:
    master.answers = {f"POST {SHOP}/preview": {"objects": ["upstreams/a"]}}
    found = [Change(*key("a"), SPEC, "")]
    assert preview(opened(), found, WEB, {"seen": "edge"}) == {"objects": ["upstreams/a"]}
    change = {"kind": "upstreams", "name": "a", "spec": SPEC, "set": "web"}
    assert master.bodies("POST", f"{SHOP}/preview") == [
        {"changes": [change], "seen": "edge", "set": "web"}
    ]


def test_each_change_is_made_against_the_version_that_was_seen(master: ScriptedMaster) -> None:
    base = f"{SHOP}/resources/upstreams"
    master.answers = {f"PUT {base}/a": {}, f"PUT {base}/b": {}, f"DELETE {base}/c": None}
    found = [
        Change(*key("a"), SPEC, ""),
        Change(*key("b"), SPEC, "4-b", {"tier": "a"}),
        Change(*key("c"), None, "5-c"),
    ]
    carry_out(opened(), found, Owner("ann", "web", take_over=True))
    put = {"set": "web", "take_over": "true"}
    asked = [(one.method, one.path, one.query, one.body) for one in master.asked]
    assert asked == [
        ("PUT", f"{base}/a", put, {"spec": SPEC}),
        ("PUT", f"{base}/b", put, {"spec": SPEC, "fleets": {"tier": "a"}}),
        ("DELETE", f"{base}/c", {"set": "web"}, None),
    ]
    conditions = [
        (one.headers.get("if-match"), one.headers.get("if-none-match")) for one in master.asked
    ]
    assert conditions == [(None, "*"), ('"4-b"', None), ('"5-c"', None)]


def test_each_object_becomes_a_document_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    items = [there("a", spec={"x": 1}, fleets={"tier": "a"}), there("b/c", spec={"x": 2})]
    assert write_out(items, folder) == 2
    assert (folder / "upstreams" / "a.yaml").read_text() == (
        "upstreams:\n  a:\n    fleets:\n      tier: a\n    x: 1\n"
    )
    assert (folder / "upstreams" / "b%2Fc.yaml").read_text() == "upstreams:\n  b/c:\n    x: 2\n"
    assert write_out([], folder) == 0


def test_what_is_written_out_is_read_again_whatever_its_name(tmp_path: Path) -> None:
    long = "\N{LATIN SMALL LETTER A WITH DIAERESIS}" * 199
    names = [".well-known", "..", "%2E.", "a/b", "a.", "x" * 200, long + "a", long + "b"]
    items = [there(name, spec={"balance": str(at)}) for at, name in enumerate(names)]
    for _ in range(2):  # the second time replaces what the first one wrote
        assert write_out(items, tmp_path) == len(names)
        found = gather([tmp_path])
        assert not found.wrong
        assert {name: one.spec for (_, name), one in found.resources.items()} == {
            name: {"balance": str(at)} for at, name in enumerate(names)
        }
    files = {file.name for file in (tmp_path / "upstreams").iterdir()}
    assert len(files) == len(names)
    assert files >= {"%2Ewell-known.yaml", "%2E..yaml", "%252E..yaml", f"{'x' * 200}.yaml"}


def test_the_longest_name_that_fits_into_one_of_a_file_is_whole(tmp_path: Path) -> None:
    fits, more = "/" * 83 + "a", "/" * 83 + "ab"
    assert write_out([there(fits), there(more)], tmp_path) == 2
    names = sorted(file.name for file in (tmp_path / "upstreams").iterdir())
    assert f"{'%2F' * 83}a.yaml" in names
    assert f"{'%2F' * 83}ab.yaml" not in names
