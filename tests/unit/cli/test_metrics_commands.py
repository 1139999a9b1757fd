"""What `headgate fleet-metrics` asks a master, and prints."""

import json
from pathlib import Path

import pytest
from scripted_master import SHOP, ScriptedMaster, installed, left

PATH = f"{SHOP}/fleets/edge/metrics"
POINT = {"at": "12:00", "agent": "a1", "seconds": 60, "requests": 90, "client_errors": 4}


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    one = installed(monkeypatch, tmp_path)
    one.answers = {f"GET {PATH}": {"items": [POINT]}}
    return one


def test_the_table_has_rates_and_json_has_what_the_master_said(
    master: ScriptedMaster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left(monkeypatch, "fleet-metrics", "edge") == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["AT", "NODES", "REQUESTS"]
    assert line.split() == ["12:00", "-", "90", "1.5", "4", "-", "-", "-", "-", "-", "-"]
    more = ("--range", "24h", "--step", "1h", "--by", "agent", "--agent", "a1")
    assert left(monkeypatch, "fleet-metrics", "edge", *more) == 0
    assert capsys.readouterr().out.startswith("AGENT")
    assert left(monkeypatch, "fleet-metrics", "edge", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == [POINT]
    hour = {"range_s": "3600", "step_s": "300", "by": "fleet"}
    day = {"range_s": "86400", "step_s": "3600", "by": "agent", "agent": "a1"}
    asked = [{key: one.query[key] for key in one.query if key != "limit"} for one in master.asked]
    assert asked == [hour, day, hour]
