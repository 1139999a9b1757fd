"""What `login`, `get`, `describe`, `delete` and the contexts ask of a master, keep and print."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_master import SHOP, URL, ScriptedMaster, installed, left
from tls_authority import Authority

from headgate.cli.remote import contexts
from headgate.cli.remote.contexts import Context, Contexts

TOKENS = {"access_token": "a2", "refresh_token": "r2"}
API: dict[str, object] = {
    "id": "i1",
    "name": "api",
    "version": 3,
    "set": "web",
    "changed_at": "T",
    "spec": {"x": 1},
}
AWAY = ("state", "away")
Command = Callable[..., int]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def master(home: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    one = installed(monkeypatch, home)
    one.answers = {
        "POST /auth/login": TOKENS,
        "GET /auth/me": {"name": "ann"},
        "GET /workspaces": {"items": [{"name": "shop"}]},
        f"GET {SHOP}/resources": {"items": [API]},
    }
    return one


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Command:
    return lambda *arguments: left(monkeypatch, *arguments)


def kept(home: Path) -> Contexts:
    return contexts.load(home / "contexts.json")


def access(home: Path, name: str) -> str:
    return kept(home).named(name).access_token


def test_a_password_from_standard_input_is_sent_without_its_line_end(
    master: ScriptedMaster, home: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(" a b \nmore\n"))
    assert run("login", f"{URL}/", "--user", "ann", "--password-stdin", "--context", "ci") == 0
    assert master.bodies("POST", "/auth/login") == [{"name": "ann", "password": " a b "}]
    assert kept(home).current == "ci"
    assert kept(home).named() == Context(URL, "a2", "r2", "shop")
    assert access(home, "up") == "access"


def test_a_person_is_asked_for_what_is_not_given(
    master: ScriptedMaster, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []

    def prompt(what: str, *, err: bool, hide_input: bool = False) -> str:
        assert err
        asked.append((what, hide_input))
        return what.lower()

    monkeypatch.setattr("typer.prompt", prompt)
    assert run("login", URL, "--workspace", "shop") == 0
    assert asked == [("User", False), ("Password", True)]
    assert master.bodies("POST", "/auth/login") == [{"name": "user", "password": "password"}]


def test_a_login_keeps_what_others_did_while_a_person_typed(
    master: ScriptedMaster, home: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prompt(_: str, **_more: bool) -> str:
        renewed = Context(URL, "newer", "r9", "shop")
        contexts.change(home / "contexts.json", lambda known: known.changed("up", renewed))
        return "ann"

    monkeypatch.setattr("typer.prompt", prompt)
    assert run("login", URL, "--context", "ci") == 0
    assert (access(home, "ci"), access(home, "up")) == ("a2", "newer")


def test_an_api_token_is_kept_as_it_is_and_logs_nobody_in(
    master: ScriptedMaster,
    home: Path,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(" secret \n"))
    assert run("login", URL, "--token-stdin", "--workspace", "x") == 0
    assert capsys.readouterr().out == f'ann is logged in to {URL}; context "default"\n'
    assert kept(home).named("default") == Context(URL, "secret", "", "x")
    assert not master.bodies("POST", "/auth/login")


@pytest.mark.parametrize("more", [["--token-stdin"], ["--user", "ann", "--password-stdin"]])
def test_the_authorities_are_those_of_the_file_that_the_login_named(
    master: ScriptedMaster,
    home: Path,
    run: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
) -> None:
    file = Authority(tmp_path).ca_file
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret\n"))
    assert run("login", URL, "--ca", file.name, *more) == 0
    assert kept(home).named("default").authority == str(file)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    master.answers[f"GET {SHOP}/resources"] = {"items": []}
    assert run("get", "routes") == 0


def test_a_logout_forgets_the_tokens_whatever_the_master_says(
    master: ScriptedMaster, home: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["POST /auth/logout"] = 503
    assert run("logout") == 0
    assert "the session was not ended: answered 503" in capsys.readouterr().err
    assert kept(home) == Contexts()


def test_a_logout_forgets_the_tokens_of_a_master_whose_authorities_are_gone(
    master: ScriptedMaster, home: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    known = Contexts().holding("ci", Context(URL, "a", "r", authority=str(home / "none.pem")))
    contexts.save(home / "contexts.json", known)
    assert run("logout") == 0
    said = f"the session was not ended: the CA certificates in {home}/none.pem cannot be read"
    assert said in capsys.readouterr().err
    assert kept(home) == Contexts()
    assert master.asked == []


def test_only_a_session_is_ended_at_the_master(
    master: ScriptedMaster, home: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["POST /auth/logout"] = None
    known = kept(home).holding("ci", Context(URL, "secret", "", "shop"))
    contexts.save(home / "contexts.json", known)
    assert run("logout", "--context", "ci") == 0
    assert master.asked == []
    assert run("logout", "--context", "up") == 0
    assert [one.path for one in master.asked] == ["/auth/logout"]
    assert kept(home) == Contexts()
    assert capsys.readouterr().err == ""


def test_a_list_or_one_object_is_shown(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"GET {SHOP}/resources"] = {"items": [API, {"name": "b"}]}
    assert run("get", "routes") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert run("get", "routes", "api") == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["api    3         web   T"]
    assert run("get", "routes", "none") == 1


def test_what_is_only_listed_is_described_from_the_list(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers |= {
        f"GET {SHOP}/freezes": {"items": [{"id": "z1", "reason": "the sale"}]},
        f"GET {SHOP}/resources/routes/api": API | {"version": 4},
    }
    assert run("describe", "freeze", "z1") == 0
    assert capsys.readouterr().out == "id: z1\nreason: the sale\n"
    assert run("describe", "route", "api", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["version"] == 4


def test_an_object_is_removed_only_as_it_was_seen(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers |= {
        f"DELETE {SHOP}/resources/routes/api": None,
        "GET /tokens": {"items": [{"id": "t1", "name": "ci"}]},
        "DELETE /tokens/t1": None,
    }
    assert run("delete", "route", "api") == 0
    assert run("delete", "token", "ci") == 0
    assert capsys.readouterr().out == "route api is removed\ntoken ci is removed\n"
    route, token = [one for one in master.asked if one.method == "DELETE"]
    assert route.headers["if-match"] == '"3-i1"'
    assert "if-match" not in token.headers
    assert run("delete", "revision", "8") == 1
    assert "revisions are never removed" in capsys.readouterr().err


def test_agents_of_one_fleet_and_the_newest_of_the_audit_are_listed(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"GET {SHOP}/agents"] = {"items": [{"name": "a", "id": "1"}]}
    line = {"at": "T", "action": "PUT"}
    master.answers["GET /audit"] = [{"items": [line]}, {"items": [line]}, {}]
    assert run("agents", "--fleet", "edge", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "a", "id": "1"}]
    assert run("audit", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == [line]
    assert run("audit", "--limit", "7") == 0
    assert run("audit", "-o", "json") == 0
    assert capsys.readouterr().out.endswith("[]\n")
    queries = [one.query for one in master.asked]
    assert queries[0] == {"limit": "500", "fleet": "edge"}
    assert [one["limit"] for one in queries[1:]] == ["50", "7", "50"]


def test_the_audit_log_of_the_whole_master_is_another_list(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    line = {"at": "T", "action": "a login failed"}
    master.answers["GET /master/audit"] = [{"items": [line]}, {"items": [line]}]
    words = ("--master", "--limit", "7", "--filter", "outcome=refused", "-o", "json")
    assert run("audit", *words) == 0
    assert json.loads(capsys.readouterr().out) == [line]
    assert run("get", "master-audit", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == [line]
    assert [one.query["limit"] for one in master.asked] == ["7", "500"]
    assert master.asked[0].query["outcome"] == "refused"


def test_filters_are_asked_of_the_master_and_one_may_be_given_more_than_once(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers |= {f"GET {SHOP}/agents": {"items": []}, "GET /audit": {"items": []}}
    words = ("--filter", "label=a=1", "--filter", "label=b=2", "--filter", "state=away")
    assert run("agents", *words) == 0
    assert run("get", "routes", "--filter", "set=web", "--fleet", "edge") == 0
    assert run("audit", "--filter", "action=DELETE") == 0
    agents, routes, audit = master.asked
    assert agents.queries == [("limit", "500"), ("label", "a=1"), ("label", "b=2"), AWAY]
    assert routes.query == {"limit": "500", "kind": "routes", "set": "web", "fleet": "edge"}
    assert audit.query == {"limit": "50", "action": "DELETE"}
    master.asked.clear()
    capsys.readouterr()
    for wrong in ("state", "kind=hosts", "limit=1", "cursor=x"):
        assert run("get", "routes", "--filter", wrong) == 1
        assert f'"{wrong}" is not a filter of routes' in capsys.readouterr().err
    assert master.asked == []


def test_an_object_of_a_set_is_removed_by_naming_it(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers |= {f"DELETE {SHOP}/resources/routes/api": None}
    assert run("delete", "route", "api", "--set", "web") == 0
    assert run("delete", "route", "api") == 0
    first, second = [one.query for one in master.asked if one.method == "DELETE"]
    assert (first, second) == ({"set": "web"}, {})
    assert run("delete", "token", "ci", "--set", "web") == 1
    assert "tokens belong to no set; leave --set out" in capsys.readouterr().err


def test_a_context_is_chosen_with_or_without_a_workspace(
    master: ScriptedMaster, home: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    ci = Context(f"{URL}0", "secret", "", "old")
    contexts.save(home / "contexts.json", kept(home).changed("ci", ci))
    assert run("context", "list", "-o", "json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["workspace"], one["current"]) for one in listed] == [
        ("ci", "old", False),
        ("up", "shop", True),
    ]
    assert run("context", "use", "ci") == 0
    assert (kept(home).current, kept(home).named()) == ("ci", ci)
    assert run("context", "use", "up", "--workspace", "") == 0
    assert (kept(home).current, kept(home).named().workspace) == ("up", "")
    assert kept(home).named("ci") == ci
    assert run("context", "use", "none") == 1


def test_a_renewed_token_is_kept_for_the_context_that_was_used(
    master: ScriptedMaster, home: Path, run: Command
) -> None:
    page: dict[str, object] = {"items": [API]}
    master.answers |= {
        f"GET {SHOP}/resources": [401, page, 401, page],
        "POST /auth/refresh": [TOKENS, TOKENS | {"access_token": "a3"}],
    }
    ci = Context(URL, "old", "r1", "shop")
    contexts.save(home / "contexts.json", kept(home).changed("ci", ci))
    assert run("get", "routes") == 0
    assert access(home, "up") == "a2"
    assert access(home, "ci") == "old"
    assert run("get", "routes", "--context", "ci") == 0
    assert access(home, "ci") == "a3"
