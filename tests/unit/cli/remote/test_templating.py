"""What `headgate apply` writes of templates and virtual hosts, and which drafts it leaves."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
from scripted_master import SHOP as WORKSPACE
from scripted_master import ScriptedMaster, installed

from headgate.cli.remote.applying import Owner
from headgate.cli.remote.client import Json, Master
from headgate.cli.remote.documents import TEMPLATES, VIRTUAL_HOSTS, Gathered, Key, Spec
from headgate.cli.remote.errors import MasterError
from headgate.cli.remote.templating import Plan, Templated, carry_out, objects, planned, steps
from headgate.cli.remote_commands import opened

WEB: Key = (TEMPLATES, "web")
SHOP: Key = (VIRTUAL_HOSTS, "shop")
OTHER: Key = (VIRTUAL_HOSTS, "other")


class Asked:
    """A master that makes a draft of each template it gets, if it has virtual hosts, which then are
    those of HOSTS. `refused`: how it answers who asks for the draft; 0: with the draft."""

    workspace = "w"

    def __init__(self, draft: str | None, refused: int = 0) -> None:
        self.draft = draft
        self.refused = refused
        self.asked: list[tuple[str, str, Mapping[str, str] | None]] = []
        self.queries: list[dict[str, str]] = []

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        del body
        self.queries.append(dict(query or {}))
        self.asked.append((method, path.removeprefix("/workspaces/w/"), headers))
        kind, _, name = path.removeprefix("/workspaces/w/").partition("/")
        if method == "GET" and kind == "virtual-hosts":
            return HOSTS[name]
        if method == "GET" and self.refused:
            raise MasterError("no draft", self.refused)
        return {"draft": self.draft}


def template(text: str, source: str = "a.toml", **more: object) -> Spec:
    return {"parameters": {}, "objects": text, "source": source, **more}


def virtual_host(value: str, **more: object) -> Spec:
    there = {"template": "web", "values": {"v": value}, "fleets": [], "nodes": []}
    return {**there, "objects": [], **more}


ANN = Owner("u1")


def written(
    master: Asked, both: Templated, owner: Owner = ANN, *, prune: bool = False
) -> list[str]:
    found = steps(both, owner, frozenset(), prune=prune)
    return carry_out(cast("Master", master), both, found, owner)


def wanted(text: str, *hosts: Key, source: str = "a.toml") -> dict[Key, Spec]:
    own = {k: v for k, v in virtual_host("1").items() if k != "objects"}
    return {WEB: template(text, source)} | dict.fromkeys(hosts, own)


HOSTS: dict[str, Json] = {
    "shop": virtual_host("1", name="shop", id="h", version=6),
    "other": virtual_host("2", name="other", id="o", version=7),
}
THERE: dict[Key, Json] = {
    WEB: template("old", name="web", id="t", version=3),
    SHOP: virtual_host("1", name="shop", id="h", version=5),
}


def test_nothing_that_is_the_same_is_written() -> None:
    master = Asked("d1")
    assert written(master, Templated(wanted("old", SHOP), THERE)) == []
    assert master.asked == []


def test_a_draft_that_every_virtual_host_of_the_documents_replaces_is_not_left() -> None:
    master = Asked("d1", refused=404)
    assert written(master, Templated(wanted("new", SHOP), THERE)) == []
    assert master.asked == [
        ("PUT", "templates/web", {"if-match": '"3-t"'}),
        ("GET", "virtual-hosts/shop", None),
        ("PUT", "virtual-hosts/shop", {"if-match": '"6-h"'}),
        ("GET", "drafts/d1", None),
    ]


def test_a_draft_stays_for_virtual_hosts_that_the_documents_do_not_have() -> None:
    there = THERE | {OTHER: virtual_host("2", name="other", id="o", version=6)}
    master = Asked("d1")
    assert written(master, Templated(wanted("new", SHOP), there)) == ["d1"]
    assert [method for method, *_ in master.asked] == ["PUT", "GET", "PUT", "GET"]
    # With `prune` that virtual host goes, and the draft has nothing to hold.
    master = Asked("d1", refused=404)
    assert written(master, Templated(wanted("new", SHOP), there), prune=True) == []
    assert master.asked[1:] == [
        ("GET", "virtual-hosts/other", None),
        ("DELETE", "virtual-hosts/other", {"if-match": '"7-o"'}),
        ("GET", "virtual-hosts/shop", None),
        ("PUT", "virtual-hosts/shop", {"if-match": '"6-h"'}),
        ("GET", "drafts/d1", None),
    ]


def test_a_draft_of_which_the_master_says_nothing_fails_the_command() -> None:
    master = Asked("d1", refused=503)
    with pytest.raises(MasterError):
        written(master, Templated(wanted("new", SHOP), THERE))


def test_a_virtual_host_that_somebody_else_wrote_meanwhile_is_not_written() -> None:
    for seen in ({"values": {"v": "0"}}, {"id": "another"}):
        master = Asked(None)
        there = THERE | {SHOP: {**THERE[SHOP], **seen}}
        both = Templated(wanted("new", SHOP), there)
        with pytest.raises(MasterError, match="virtual_hosts/shop changed meanwhile; apply again"):
            written(master, both)
        assert [method for method, *_ in master.asked] == ["PUT", "GET"]


def test_what_is_new_is_only_written_if_it_still_is() -> None:
    master = Asked(None)
    assert written(master, Templated(wanted("new", SHOP), {})) == []
    assert master.asked == [
        ("PUT", "templates/web", {"if-none-match": "*"}),
        ("PUT", "virtual-hosts/shop", {"if-none-match": "*"}),
    ]


def test_what_is_taken_over_is_written_as_it_is_and_says_for_which_set() -> None:
    master = Asked(None)
    there = {key: {**one, "set": "web"} for key, one in THERE.items()}
    both = Templated(wanted("old", SHOP), there)
    assert written(master, both, Owner("u1", "web")) == []
    assert master.asked == []
    written(master, both, Owner("u1", "api", take_over=True))
    assert [(method, path) for method, path, _ in master.asked] == [
        ("PUT", "templates/web"),
        ("GET", "virtual-hosts/shop"),
        ("PUT", "virtual-hosts/shop"),
    ]
    own = {"set": "api", "take_over": "true"}
    assert master.queries == [own, {}, own]


def test_virtual_hosts_of_other_sets_are_not_pruned() -> None:
    master = Asked(None)
    there = THERE | {OTHER: virtual_host("2", name="other", id="o", version=6, set="web")}
    assert written(master, Templated(wanted("old", SHOP), there), prune=True) == []
    assert written(master, Templated({}, there), Owner("u1", "web"), prune=True) == []
    assert [(method, path) for method, path, _ in master.asked] == [
        ("DELETE", "virtual-hosts/other")
    ]


@pytest.mark.parametrize("draft", [None, ""])
def test_a_template_without_a_draft_leaves_none(draft: str | None) -> None:
    master = Asked(draft)
    there = THERE | {OTHER: virtual_host("2", name="other", id="o", version=6)}
    assert written(master, Templated(wanted("new", SHOP), there)) == []
    assert [method for method, *_ in master.asked] == ["PUT", "GET", "PUT"]


def test_a_template_that_only_moved_is_written_and_is_no_difference() -> None:
    both = Templated(wanted("old", SHOP, source="b.toml"), THERE)
    master = Asked(None)
    assert written(master, both) == []
    assert master.asked == [("PUT", "templates/web", {"if-match": '"3-t"'})]
    before, after = objects(both)
    assert before == after
    assert after[WEB] == {"parameters": {}, "objects": "old"}


def test_only_virtual_hosts_make_objects() -> None:
    there = THERE | {SHOP: virtual_host("1", objects=["routes/a", "routes/b"])}
    assert Templated({}, there).objects == {"routes/a", "routes/b"}


def test_templates_come_first_and_each_kind_in_the_order_of_names() -> None:
    there = THERE | {OTHER: virtual_host("2", name="other", id="o", version=6)}
    last_first = dict(reversed(wanted("new", (VIRTUAL_HOSTS, "new")).items()))
    both = Templated(last_first, there)
    found = steps(both, ANN, frozenset(), prune=True)
    assert [(one.kind, one.name, one.word) for one in found.changes] == [
        (TEMPLATES, "web", "changed"),
        (VIRTUAL_HOSTS, "new", "added"),
        (VIRTUAL_HOSTS, "other", "removed"),
        (VIRTUAL_HOSTS, "shop", "removed"),
    ]


ROUTE: dict[str, object] = {"kind": "routes", "name": "all", "spec": {}}


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    one = installed(monkeypatch, tmp_path)
    lists = ("resources", "templates", "virtual-hosts")
    one.answers = {f"GET {WORKSPACE}/{name}": {"items": []} for name in lists}
    one.answers[f"POST {WORKSPACE}/preview"] = {"objects": ["routes/all"]}
    return one


def plan(
    templates: dict[str, Spec], hosts: dict[str, Spec], *, prune: bool = False, seen: str | None
) -> Plan:
    return planned(opened(), Gathered({}, (), templates, hosts), ANN, prune=prune, seen=seen)


def test_what_documents_leave_out_has_its_default(master: ScriptedMaster) -> None:
    found = plan({"web": {"objects": [ROUTE]}}, {"shop": {"template": "web"}}, seen="edge")
    assert [one.spec for one in found.changes] == [
        {"parameters": {}, "objects": [ROUTE], "source": None},
        {"template": "web", "values": {}, "fleets": {}, "nodes": {}},
    ]
    assert found.said == {"objects": ["routes/all"]}
    assert master.bodies("POST", f"{WORKSPACE}/preview") == [
        {
            "changes": [],
            "templates": {"web": found.changes[0].spec},
            "virtual_hosts": {"shop": found.changes[1].spec},
            "seen": "edge",
        }
    ]


def test_what_is_no_template_or_virtual_host_is_refused_at_its_place(
    master: ScriptedMaster,
) -> None:
    with pytest.raises(MasterError) as refused:
        plan({}, {"shop": {"values": 1}}, seen=None)
    first, second = str(refused.value).split("; ")
    assert first == "virtual_hosts.shop.template: Field required"
    assert second.startswith("virtual_hosts.shop.values: ")
    with pytest.raises(MasterError, match=r"^templates\.web\.objects: "):
        plan({"web": {"objects": []}}, {}, seen=None)


def test_a_virtual_host_goes_only_if_all_that_it_makes_may_go(master: ScriptedMaster) -> None:
    made = {"kind": "routes", "spec": {}, "id": "r", "version": 1}
    resources = [
        {**made, "name": "a", "path": "routes/a", "changed_by": "u1"},
        {**made, "name": "b", "path": "routes/b", "changed_by": "u2"},
    ]
    hosts = [
        virtual_host("1", name="mine", id="m", version=2, objects=["routes/a"]),
        virtual_host("1", name="theirs", id="n", version=2, objects=["routes/b"]),
    ]
    master.answers[f"GET {WORKSPACE}/resources"] = {"items": resources}
    master.answers[f"GET {WORKSPACE}/virtual-hosts"] = {"items": hosts}
    found = plan({}, {}, prune=True, seen=None)
    assert [(one.word, one.kind, one.name) for one in found.changes] == [
        ("removed", VIRTUAL_HOSTS, "mine")
    ]
    assert plan({}, {}, seen=None).said == {}
