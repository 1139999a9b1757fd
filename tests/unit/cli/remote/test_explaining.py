"""What a master is asked about a request at the node of an agent, and how it is shown."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_master import SHOP, ScriptedMaster, installed, left

from headgate.cli.remote.explaining import explain
from headgate.cli.remote_commands import opened
from headgate.compile.routing import Question

URL = "http://a.example/"
Command = Callable[..., int]
SAID: dict[str, object] = {
    "name": "web-1",
    "revision": 7,
    "explanation": {"url": URL, "method": "GET", "listener": "web", "host": "a.example"},
}


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    one = installed(monkeypatch, tmp_path)
    one.answers = {
        f"GET {SHOP}/agents": {"items": [{"id": "a1", "name": "web-1"}]},
        f"POST {SHOP}/agents/a1/explain": SAID,
    }
    return one


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Command:
    return lambda *arguments: left(monkeypatch, "explain", URL, "--agent", "web-1", *arguments)


def test_what_the_agent_serves_is_asked_unless_the_resources_are_meant(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    lines = f"GET {URL}  on listener web\nno route takes it, 404: none of a.example matches\n"
    assert capsys.readouterr().out == f"agent web-1, revision 7\n{lines}"
    master.answers[f"POST {SHOP}/agents/a1/explain"] = SAID | {"revision": None}
    assert run("--resources") == 0
    assert capsys.readouterr().out == f"agent web-1, the workspace's resources\n{lines}"
    serving, resources = master.bodies("POST", f"{SHOP}/agents/a1/explain")
    assert isinstance(serving, dict) and isinstance(resources, dict)
    assert (serving["url"], serving["method"], serving["config"]) == (URL, "GET", "serving")
    assert resources == serving | {"config": "resources"}


def test_names_in_an_explanation_do_not_reach_the_terminal_as_they_are(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {"url": URL, "method": "GET", "listener": "\x1b[2J", "host": "a.example"}
    master.answers[f"POST {SHOP}/agents/a1/explain"] = SAID | {"explanation": bad}
    assert run() == 0
    assert "on listener ?[2J\n" in capsys.readouterr().out


def test_a_program_gets_what_the_master_said(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-o", "json") == 0
    said = capsys.readouterr().out
    assert said.endswith("}\n")
    assert json.loads(said) == SAID


def test_an_explanation_ends_well(master: ScriptedMaster) -> None:
    assert explain(opened(), Question(URL), "web-1", "serving", "text") == 0
