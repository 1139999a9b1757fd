"""What the commands of tokens ask of a master, and how they show a secret once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from scripted_master import SHOP, URL, ScriptedMaster, installed, left

from headgate.cli.remote import contexts
from headgate.cli.remote.contexts import Context
from headgate.cli.token_commands import labels

MADE = {"id": "t1", "secret": "hg_1", "token": "join_1"}
Command = Callable[..., int]


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    one = installed(monkeypatch, tmp_path / "home")
    one.answers = {
        "GET /tokens": {"items": [{"id": "t1", "name": "ci"}]},
        "POST /tokens": MADE,
        "DELETE /tokens/t1": None,
        f"GET {SHOP}/join-tokens": {"items": [{"id": "j1", "fleet": "edge"}]},
        f"POST {SHOP}/join-tokens": MADE,
        f"DELETE {SHOP}/join-tokens/j1": None,
    }
    return one


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Command:
    return lambda *arguments: left(monkeypatch, *arguments)


def test_tokens_of_both_kinds_are_listed_and_revoked(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("tokens", "list", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == [{"id": "t1", "name": "ci"}]
    assert run("tokens", "list", "--join", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == [{"id": "j1", "fleet": "edge"}]
    assert run("tokens", "revoke", "ci") == 0
    assert run("tokens", "revoke", "--join", "j1") == 0
    assert capsys.readouterr().out == "token ci is removed\njoin-token j1 is removed\n"
    removed = [one.path for one in master.asked if one.method == "DELETE"]
    assert removed == ["/tokens/t1", f"{SHOP}/join-tokens/j1"]


def test_a_token_is_revoked_in_the_context_that_is_named(
    master: ScriptedMaster, run: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "home" / "contexts.json"
    other = Context(URL, "b", workspace="shop")
    contexts.save(file, contexts.load(file).changed("other", other))
    assert run("tokens", "revoke", "ci", "--context", "other") == 0
    monkeypatch.setenv("HEADGATE_CONTEXT", "other")
    assert run("tokens", "revoke", "--join", "j1") == 0
    removed = [one for one in master.asked if one.method == "DELETE"]
    assert [one.path for one in removed] == ["/tokens/t1", f"{SHOP}/join-tokens/j1"]
    assert {one.headers["authorization"] for one in removed} == {"Bearer b"}


def test_a_secret_is_shown_alone_or_with_everything(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("tokens", "create", "ci") == 0
    assert run("tokens", "join", "edge") == 0
    assert capsys.readouterr().out == "hg_1\njoin_1\n"
    assert run("tokens", "create", "ci", "--role", "admin", "--days", "7", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == MADE
    assert master.bodies("POST", "/tokens") == [
        {"name": "ci", "role": "viewer", "workspace": "", "days": 90},
        {"name": "ci", "role": "admin", "workspace": "", "days": 7},
    ]


def test_a_join_token_is_as_narrow_as_it_was_asked_for(
    master: ScriptedMaster, run: Command
) -> None:
    assert run("tokens", "join", "edge") == 0
    more = ("--uses", "20", "--hours", "2", "--label", "zone=east", "--address", "10.0.0.0/8")
    assert run("tokens", "join", "edge", *more) == 0
    plain = {"fleet": "edge", "uses": 1, "hours": 24, "labels": {}, "addresses": []}
    narrow = {"uses": 20, "hours": 2, "labels": {"zone": "east"}, "addresses": ["10.0.0.0/8"]}
    assert master.bodies("POST", f"{SHOP}/join-tokens") == [plain, plain | narrow]


def test_a_join_token_of_a_data_plane_names_its_agent(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"GET {SHOP}/agents"] = {"items": [{"id": "a1", "name": "control-1"}]}
    assert run("tokens", "join", "edge", "--data-plane", "control-1") == 0
    (body,) = master.bodies("POST", f"{SHOP}/join-tokens")
    assert body["data_plane_of"] == "a1"  # type: ignore[index]
    assert run("tokens", "join", "edge", "--data-plane", "nobody") != 0
    assert 'there is no agent "nobody"' in capsys.readouterr().err


def test_a_label_has_a_name_and_may_have_an_empty_value() -> None:
    assert labels(["zone=east", "note=", "sum=1=1"]) == {"zone": "east", "note": "", "sum": "1=1"}
    for wrong in ("zone", "=east"):
        with pytest.raises(typer.BadParameter, match="is not a label; write NAME=VALUE"):
            labels([wrong])
