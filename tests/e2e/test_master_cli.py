"""The commands of people, with a real master."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from at_terminal import Person
from master_process import PASSWORD, call, master


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder = tmp_path_factory.mktemp("master")
    with master(folder, "--listen", "127.0.0.1:0") as one:
        base, token = one.link()
        call(f"{base}/api/v1/auth/setup", {"token": token, "name": "ann", "password": PASSWORD})
        yield Person(folder / "home", base)


def test_a_person_logs_in_and_looks_around(person: Person) -> None:
    assert person.log_in() == f'ann is logged in to {person.url}; context "default"\n'
    file = person.home / "contexts.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(person.run("context", "list", "-o", "json")) == [
        {"current": True, "name": "default", "url": person.url, "workspace": "default"}
    ]
    assert person.run("get", "workspaces").splitlines()[1].startswith("default ")
    described = person.run("describe", "workspace", "default")
    assert "name: default\n" in described


def test_a_wrong_password_is_refused_and_keeps_the_context(person: Person) -> None:
    person.log_in()
    before = (person.home / "contexts.json").read_text()
    assert "headgate: " in person.log_in("wrong horse battery", code=1)
    assert (person.home / "contexts.json").read_text() == before


def test_a_program_logs_in_with_a_token_until_it_is_revoked(person: Person) -> None:
    person.log_in()
    secret = person.run("tokens", "create", "ci", "--role", "viewer").strip()
    ci = Person(person.home / "ci", person.url)
    ci.run("login", ci.url, "--token-stdin", "--context", "ci", stdin=secret)
    assert "default" in ci.run("get", "workspaces")
    assert "this needs the permission" in ci.run("audit", code=1)
    assert secret not in person.run("tokens", "list", "-o", "yaml")
    person.run("tokens", "revoke", "ci")
    assert "POST /api/v1/tokens" in person.run("audit")
    assert "log in again" in ci.run("get", "workspaces", code=1)


_ROUTES = """\
[listeners.web]
address = "127.0.0.1:8000"
default = true

[routes.api]
match = { path = { prefix = "/api" } }
upstream = "api"

[upstreams.api]
endpoints = ["127.0.0.1:9001"]
"""


def test_documents_become_resources_and_documents_again(person: Person, tmp_path: Path) -> None:
    person.log_in()
    config = tmp_path / "config"
    config.mkdir()
    (config / "site.toml").write_text(_ROUTES)
    added = "added    listeners/web\nadded    routes/api\nadded    upstreams/api\n"
    assert person.run("apply", "-f", str(config), "--preview") == added
    assert person.run("get", "routes").splitlines()[1:] == []
    assert person.run("apply", "-f", str(config)) == added
    assert person.run("apply", "-f", str(config)) == "everything is as the documents say\n"
    assert "upstream: api\n" in person.run("describe", "route", "api")
    exported = tmp_path / "exported"
    assert person.run("export", str(exported)) == f"3 documents are in {exported}\n"
    assert person.run("apply", "-f", str(exported)) == "everything is as the documents say\n"
    (config / "site.toml").write_text(_ROUTES.replace("9001", "9002"))
    assert person.run("apply", "-f", str(config)) == "changed  upstreams/api\n"
    person.run("delete", "route", "api")
    assert person.run("get", "routes").splitlines()[1:] == []


def test_what_would_not_be_valid_changes_nothing(person: Person, tmp_path: Path) -> None:
    person.log_in()
    file = tmp_path / "bad.toml"
    file.write_text('[routes.lost]\nmatch = { path = { prefix = "/x" } }\nupstream = "none"\n')
    said = person.run("apply", "-f", str(file), code=78)
    assert said.startswith("error: ")
    assert "lost" not in person.run("get", "routes")
    file.write_text("[node]\n")
    assert "is not a resource of a workspace" in person.run("apply", "-f", str(file), code=78)


def test_only_what_the_same_person_wrote_is_pruned(person: Person, tmp_path: Path) -> None:
    person.log_in()
    secret = person.run("tokens", "create", "deploy", "--role", "operator").strip()
    deploy = Person(person.home / "deploy", person.url)
    deploy.run("login", deploy.url, "--token-stdin", stdin=secret)
    mine, theirs = tmp_path / "mine.toml", tmp_path / "theirs.toml"
    mine.write_text('[upstreams.mine]\nendpoints = ["127.0.0.1:9001"]\n')
    theirs.write_text('[upstreams.theirs]\nendpoints = ["127.0.0.1:9001"]\n')
    person.run("apply", "-f", str(mine))
    deploy.run("apply", "-f", str(theirs))
    mine.write_text('[upstreams.other]\nendpoints = ["127.0.0.1:9001"]\n')
    done = person.run("apply", "-f", str(mine), "--prune")
    assert "removed  upstreams/mine" in done
    assert "theirs" not in done
    assert "theirs" in person.run("get", "upstreams")


def test_freezes_begin_and_end(person: Person) -> None:
    person.log_in()
    person.run("freeze", "start", "--hours", "72", "--reason", "the sale")
    (freeze,) = json.loads(person.run("freeze", "list", "-o", "json"))
    assert (freeze["reason"], freeze["fleet"]) == ("the sale", "")
    person.run("freeze", "end", freeze["id"])
    assert json.loads(person.run("freeze", "list", "-o", "json")) == []
    assert "no fleet" in person.run("freeze", "start", "--reason", "x", "--fleet", "none", code=1)


def test_a_rollout_needs_a_fleet_and_a_revision(person: Person) -> None:
    person.log_in()
    assert "there is no rollout" in person.run("rollout", "status", code=1)
    assert 'there is no fleet "edge"' in person.run("rollout", "start", "edge", "1", code=1)
    assert person.run("agents").splitlines() == [
        "NAME   ID   STATE   PROGRAM   LABELS   REVISIONS   DRIFTS"
    ]


def test_a_logout_ends_the_session_and_forgets_it(person: Person) -> None:
    person.log_in()
    kept = (person.home / "contexts.json").read_text()
    person.run("logout")
    assert "headgate login URL" in person.run("get", "workspaces", code=1)
    (person.home / "contexts.json").write_text(kept)
    assert "log in again" in person.run("get", "workspaces", code=1)


def test_an_unknown_kind_is_named_with_the_nearest(person: Person) -> None:
    person.log_in()
    assert 'did you mean "tokens"?' in person.run("get", "tokns", code=1)
