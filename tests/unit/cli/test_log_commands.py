"""What `logs` asks a master, shows, and ends with."""

import json
from pathlib import Path

import pytest
from scripted_master import SHOP, ScriptedMaster, installed, left

FOUND: dict[str, object] = {
    "lines": [{"name": "web-1", "text": "GET /a\x1b 500"}],
    "agents": [
        {"name": "web-1", "state": "searched", "why": ""},
        {"name": "web-2", "state": "cut", "why": "too many lines"},
        {"name": "web-3", "state": "away", "why": "no answer"},
    ],
    "agents_left_out": 4,
}


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    one = installed(monkeypatch, tmp_path)
    one.answers = {
        f"POST {SHOP}/fleets/edge/logs": FOUND,
        f"GET {SHOP}/agents": {"items": [{"id": "a1", "name": "web-1"}]},
        f"POST {SHOP}/agents/a1/logs": FOUND | {"agents": [], "agents_left_out": 0},
    }
    return one


def test_the_nodes_of_a_fleet_are_searched_and_those_that_did_not_answer_are_named(
    master: ScriptedMaster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--status", "5xx", "--host", "a.test", "--path", "/a", "--text", "curl")
    assert left(monkeypatch, "logs", "--fleet", "edge", "--since", "15m", *options) == 0
    said = capsys.readouterr()
    assert said.out == "web-1  GET /a? 500\n"
    assert said.err == (
        "headgate: web-2 is cut: too many lines\n"
        "headgate: web-3 is away: no answer\n"
        "headgate: 4 more agents were not asked\n"
    )
    assert master.bodies("POST", f"{SHOP}/fleets/edge/logs") == [
        {
            "since_s": 900,
            "source": "access",
            "status": "5xx",
            "host": "a.test",
            "path": "/a",
            "text": "curl",
            "limit": 100,
        }
    ]


def test_one_node_is_searched_by_the_name_of_its_agent_and_nothing_found_is_a_failure(
    master: ScriptedMaster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("logs", "--agent", "web-1", "--since", "1ms", "--limit", "7", "--source", "events")
    assert left(monkeypatch, *asked) == 1
    assert capsys.readouterr().err == ""
    (body,) = master.bodies("POST", f"{SHOP}/agents/a1/logs")
    assert body == {"since_s": 1, "source": "events", "limit": 7}


def test_json_has_the_whole_answer(
    master: ScriptedMaster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left(monkeypatch, "logs", "--fleet", "edge", "-o", "json") == 0
    said = capsys.readouterr()
    assert (json.loads(said.out), said.err) == (FOUND, "")


@pytest.mark.parametrize("nodes", [(), ("--fleet", "edge", "--agent", "web-1")])
def test_it_needs_either_a_fleet_or_an_agent(
    master: ScriptedMaster,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    nodes: tuple[str, ...],
) -> None:
    assert left(monkeypatch, "logs", *nodes) == 2
    assert "give one of --fleet and --agent" in capsys.readouterr().err


def test_a_time_that_is_none_is_refused(
    master: ScriptedMaster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left(monkeypatch, "logs", "--fleet", "edge", "--since", "soon") != 0
    assert "--since: " in capsys.readouterr().err
    assert master.asked == []
