"""The commands of a fleet against the whole REST application: apply, publish, wait, diff."""

import json
from pathlib import Path

import pytest
from fleet_site import QUICK, Site

from headgate.cli.remote.kinds import names


@pytest.fixture
def database_url() -> str:
    """The commands see no database: one is enough."""
    return ""


def test_apply_follows_a_rollout_to_its_end_and_does_nothing_twice(site: Site) -> None:
    site.write(9001)
    said = site.apply()
    assert "added    listeners/web\n" in said
    assert "revision 1 of fleet edge is made; rollout " in said
    assert said.endswith("revision 1 is serving on all 2 agents\n")
    said = site.apply("--fleet", "edge")
    assert said == (
        "everything is as the documents say\n"
        "revision 1 of fleet edge is there already\n"
        "revision 1 is serving on all 2 agents\n"
    )
    site.write(9002)
    shown = json.loads(site.apply("-o", "json"))
    assert (shown["revision"], shown["end"], len(shown["changes"])) == (2, "serving", 1)


def test_what_was_undone_has_a_code_and_is_not_tried_again_by_itself(site: Site) -> None:
    site.write(9001)
    site.apply()
    site.write(9002)
    site.refused = 2
    said = site.apply(code=3)
    assert "of revision 2 was undone: " in said
    assert "no such address (listeners/web)" in said
    assert "the fleet goes on with revision 1; publish a corrected one" in said
    again = site.apply(code=1)
    assert "headgate rollout start edge 2" in again
    site.refused = None
    site.person.run("rollout", "start", "edge", "2", "--wait", *QUICK)
    assert site.apply().endswith("revision 2 is serving on all 2 agents\n")


def test_an_older_revision_is_rolled_out_and_taken_back(site: Site) -> None:
    for port in (9001, 9002):
        site.write(port)
        site.apply()
    said = site.person.run("rollout", "start", "edge", "1", "--wait", *QUICK)
    assert said.endswith("revision 1 is serving on all 2 agents\n")
    assert "has gone back to revision 1 since" in site.apply(code=1)
    assert "is undoing" in site.person.run("rollout", "undo")
    site.person.run("rollout", "status", "--watch", code=3)
    (fleet,) = json.loads(site.person.run("get", "fleets", "-o", "json"))
    assert fleet["revision"] == 2


def test_a_hold_and_the_end_of_the_time_have_codes(site: Site) -> None:
    site.write(9001)
    site.person.run("apply", "-f", str(site.documents))
    freeze = site.person.run("freeze", "start", "--reason", "the sale", "-o", "json")
    held = site.person.run("publish", "edge", "--wait", *QUICK, "--hold-timeout", "0", code=4)
    assert "is frozen; see `headgate freeze list`" in held
    site.person.run("delete", "freeze", json.loads(freeze)["id"])
    ended = site.person.run("rollout", "status", "--watch")
    assert ended.endswith("revision 1 is serving on all 2 agents\n")
    words = ("publish", "edge", "-m", "again", "--wait", "--soak", "600", "--timeout", "0.001")
    assert "goes on; follow it with" in site.person.run(*words, code=5)
    for _ in range(20):
        site.pass_time()
    assert "is undoing" in site.person.run("rollout", "abort")


def test_diff_compares_documents_with_the_workspace_and_with_revisions(site: Site) -> None:
    site.write(9001)
    documents = str(site.documents)
    assert site.person.run("diff", "-f", documents).splitlines() == [
        "+ listeners/web",
        "+ routes/all",
        "+ upstreams/app",
    ]
    words = ("diff", "-f", documents, "--fleet", "edge")
    assert "serves no revision yet" in site.person.run(*words, code=1)
    assert "nothing was published" in site.person.run(*words, "--revision", "newest", code=1)
    site.apply()
    assert site.person.run(*words) == "no object differs\n"
    site.write(9002)
    assert site.person.run(*words) == (
        '~ upstreams/app: endpoints\n    - - "127.0.0.1:9001"\n    + - "127.0.0.1:9002"\n'
    )
    (found,) = json.loads(site.person.run(*words, "--revision", "1", "-o", "json"))["objects"]
    assert (found["change"], found["kind"], found["keys"]) == (
        "changed",
        "upstreams",
        ["endpoints"],
    )
    assert site.person.run("diff", "--fleet", "edge") == "no object differs\n"
    assert 'no revision "9"' in site.person.run(*words, "--revision", "9", code=1)


def test_every_kind_can_be_listed_and_what_lasts_is_not_removed(site: Site) -> None:
    site.write(9001)
    site.apply()
    person = site.person
    for kind in names():
        assert isinstance(json.loads(person.run("get", kind, "-o", "json")), list)
    for kind in ("fleets", "agents", "revisions", "rollouts", "organisations", "workspaces"):
        first = json.loads(person.run("get", kind, "-o", "json"))[0]
        assert f"id: {first['id']}" in person.run("describe", kind, first["id"]).replace('"', "")
    assert "revisions are never removed" in person.run("delete", "revision", "1", code=1)
    assert "headgate rollout abort" in person.run("delete", "rollout", "x", code=1)
    assert "agents have no" not in person.run("get", "agents", "--fleet", "edge")
    assert "fleets have no fleet" in person.run("get", "fleets", "--fleet", "edge", code=1)


def test_the_secret_of_a_token_is_printed_once(site: Site) -> None:
    person = site.person
    text = person.run("tokens", "join", "edge", "--uses", "3", "--label", "zone=east").strip()
    (token,) = json.loads(person.run("tokens", "list", "--join", "-o", "json"))
    assert (token["uses"], token["labels"]) == (3, {"zone": "east"})
    assert text not in person.run("describe", "join-token", token["id"])
    person.run("tokens", "revoke", "--join", token["id"])
    (token,) = json.loads(person.run("tokens", "list", "--join", "-o", "json"))
    assert token["revoked_at"] is not None
    made = json.loads(person.run("tokens", "create", "ci", "-o", "json"))
    assert made["secret"] not in person.run("tokens", "list", "-o", "yaml")
    assert "write NAME=VALUE" in person.run("tokens", "join", "edge", "--label", "east", code=2)


def test_secret_files_are_written_and_not_shown(site: Site, tmp_path: Path) -> None:
    key = tmp_path / "site.key"
    key.write_text("not for anybody")
    site.person.run("create", "secret", "site.key", "--from-file", str(key))
    assert "not for anybody" not in site.person.run("describe", "secret", "site.key")
    site.person.run("delete", "secret", "site.key")
    assert json.loads(site.person.run("get", "secrets", "-o", "json")) == []
