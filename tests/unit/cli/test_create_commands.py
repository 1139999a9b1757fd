"""What `headgate create` asks of a master, and what it refuses to send."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_master import SHOP, ScriptedMaster, installed, left

Command = Callable[..., int]


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    one = installed(monkeypatch, tmp_path / "home")
    one.answers = {
        "GET /organisations": {"items": [{"id": "o1", "name": "main"}]},
        "POST /organisations/o1/workspaces": {"name": "shop"},
        f"POST {SHOP}/fleets": {"name": "edge"},
        f"PUT {SHOP}/secrets/site/key": {"name": "site/key"},
    }
    return one


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Command:
    return lambda *arguments: left(monkeypatch, *arguments)


def test_what_is_made_is_named_or_shown(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("create", "workspace", "shop") == 0
    assert run("create", "fleet", "edge", "--engine", "nginx", "--label", "tier=front") == 0
    assert capsys.readouterr().out == "workspace shop is made\nfleet edge is made\n"
    assert run("create", "fleet", "edge", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == {"name": "edge"}
    assert master.bodies("POST", "/organisations/o1/workspaces") == [{"name": "shop"}]
    assert master.bodies("POST", f"{SHOP}/fleets") == [
        {"name": "edge", "engine": "nginx", "labels": {"tier": "front"}},
        {"name": "edge", "engine": "any", "labels": {}},
    ]


def test_somebody_of_several_organisations_says_where_a_workspace_goes(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [{"id": "o1", "name": "main"}, {"id": "o2", "name": "other"}]
    master.answers["GET /organisations"] = {"items": both}
    master.answers["POST /organisations/o2/workspaces"] = {"name": "shop"}
    assert run("create", "workspace", "shop") == 1
    assert "with --organisation; you have main, other" in capsys.readouterr().err
    assert run("create", "workspace", "shop", "--organisation", "other") == 0
    assert master.bodies("POST", "/organisations/o2/workspaces") == [{"name": "shop"}]


def test_a_secret_comes_from_a_file_or_from_standard_input(
    master: ScriptedMaster,
    run: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "key").write_text("of a file")
    monkeypatch.setattr(sys, "stdin", io.StringIO("of a pipe"))
    assert run("create", "secret", "site/key", "--from-file", str(tmp_path / "key")) == 0
    assert run("create", "secret", "site/key") == 0
    assert capsys.readouterr().out == "secret site/key is made\n" * 2
    bodies = [one.body for one in master.asked]
    assert bodies == [{"content": "of a file"}, {"content": "of a pipe"}]


def test_a_secret_that_cannot_be_read_is_not_sent(
    master: ScriptedMaster, run: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("create", "secret", "key", "--from-file", str(tmp_path / "none")) == 1
    assert "none cannot be read: " in capsys.readouterr().err
    (tmp_path / "der").write_bytes(b"\xff\xfe")
    assert run("create", "secret", "key", "--from-file", str(tmp_path / "der")) == 1
    assert "is not text; give a PEM file" in capsys.readouterr().err
    assert master.asked == []
