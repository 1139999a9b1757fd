"""What a search of logs asks for, and what people read of its answer."""

from pathlib import Path

import pytest
from scripted_master import SHOP, ScriptedMaster, installed

from headgate.cli.remote.client import Json
from headgate.cli.remote.errors import MasterError
from headgate.cli.remote.searching import found, is_any_searched, lines, notes, query
from headgate.cli.remote_commands import opened


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    return installed(monkeypatch, tmp_path)


def states(*said: str, **more: object) -> Json:
    """An answer with agents in these states."""
    agents = [{"name": f"web-{n}", "state": one, "why": f"why {n}"} for n, one in enumerate(said)]
    return {"agents": agents, **more}


def test_only_filters_that_are_given_are_asked_for() -> None:
    assert query(since="15m", status="5xx", host="") == {"since_s": 900, "status": "5xx"}


def test_a_second_is_the_shortest_time() -> None:
    assert [query(since=text)["since_s"] for text in ("1ms", "1s", "2s")] == [1, 1, 2]
    with pytest.raises(MasterError, match=r'^--since: "soon" is not a duration'):
        query(since="soon")


def test_the_nodes_of_a_fleet_or_of_an_agent_are_searched(master: ScriptedMaster) -> None:
    master.answers = {
        f"GET {SHOP}/agents": {"items": [{"id": "a1", "name": "web-1"}]},
        f"POST {SHOP}/agents/a1/logs": {"lines": ["agent"]},
        f"POST {SHOP}/fleets/edge/logs": {"lines": ["fleet"]},
    }
    body = {"since_s": 1}
    assert found(opened(), "edge", "", body) == {"lines": ["fleet"]}
    assert found(opened(), "", "web-1", body) == {"lines": ["agent"]}
    assert [one.body for one in master.asked if one.method == "POST"] == [body, body]


def test_each_line_has_the_name_of_its_agent_and_no_control_characters() -> None:
    said = [{"name": "web-1", "text": "GET /a\x1b 500"}, {"name": "b\n", "text": "x\ty"}]
    assert list(lines({"lines": said})) == ["web-1  GET /a? 500", "b?  x\ty"]


def test_agents_that_did_not_answer_whole_are_named_with_the_cause() -> None:
    assert list(notes(states("searched", "cut", "away", agents_left_out=4))) == [
        "web-1 is cut: why 1",
        "web-2 is away: why 2",
        "4 more agents were not asked",
    ]
    assert list(notes(states("searched", agents_left_out=0))) == []
    assert list(notes(states())) == []


def test_an_answer_in_part_is_an_answer() -> None:
    assert is_any_searched(states("away", "searched")) is True
    assert is_any_searched(states("cut")) is True
    assert is_any_searched(states("away", "failed")) is False
    assert is_any_searched(states()) is False
