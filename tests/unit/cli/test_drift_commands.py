"""What the commands of drift ask of a master, and print."""

import json
from pathlib import Path

import pytest
from scripted_master import SHOP, ScriptedMaster, installed, left

AGENT = f"{SHOP}/agents/a1"
FLEET = f"{SHOP}/fleets/edge"
FOUND: dict[str, object] = {
    "drift": {
        "states": ["foreign\x1b"],
        "since": "noon",
        "policy": "report",
        "held": "",
        "alarm": "",
    },
    "fleet_policy": "node",
    "heal": {"state": "ordered", "ordered_at": "now", "error": ""},
}
SAID = (
    "drift        foreign? since noon\n"
    "policy       report\n"
    "fleet policy node\n"
    "heal         ordered, ordered now\n"
)
DRAFT = {
    "id": "d1",
    "version": 1,
    "name": "drift-web-1",
    "changes": [
        {"kind": "routes", "name": "a\x1b", "spec": {}},
        {"kind": "routes", "name": "b", "spec": None},
    ],
}


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    one = installed(monkeypatch, tmp_path)
    one.answers = {
        f"GET {SHOP}/agents": {"items": [{"id": "a1", "name": "web-1"}]},
        f"GET {AGENT}/drift": FOUND,
        f"POST {AGENT}/heal": FOUND,
        f"POST {AGENT}/drift/adopt": DRAFT,
        f"GET {FLEET}": {"id": "f1", "version": 7},
        f"PATCH {FLEET}": {},
    }
    return one


def test_the_drift_is_shown_without_control_characters_or_whole_as_json(
    master: ScriptedMaster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left(monkeypatch, "drift", "show", "web-1") == 0
    assert capsys.readouterr().out == SAID
    assert left(monkeypatch, "drift", "show", "web-1", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == FOUND


def test_a_heal_is_waited_for_unless_told_otherwise(
    master: ScriptedMaster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left(monkeypatch, "drift", "heal", "web-1", "--no-wait") == 0
    assert capsys.readouterr().out == SAID
    master.answers[f"POST {AGENT}/heal"] = FOUND | {
        "heal": {"state": "failed", "ordered_at": "now", "error": "a hold"}
    }
    assert left(monkeypatch, "drift", "heal", "web-1") == 1
    assert capsys.readouterr().err == "headgate: nothing was healed: a hold\n"
    assert [one.path for one in master.asked if one.method == "POST"] == [f"{AGENT}/heal"] * 2


def test_what_is_on_disk_becomes_a_draft(
    master: ScriptedMaster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left(monkeypatch, "drift", "adopt", "web-1") == 0
    assert (
        capsys.readouterr().out
        == "draft drift-web-1\ntag      1-d1\nwrites   routes/a?\nremoves  routes/b\n"
    )
    assert left(monkeypatch, "drift", "adopt", "web-1", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == DRAFT


def test_a_policy_is_changed_alone_and_only_on_the_version_that_was_seen(
    master: ScriptedMaster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left(monkeypatch, "drift", "policy", "edge", "report") == 0
    assert left(monkeypatch, "drift", "policy", "edge", "heal", "--heal-after", "2m") == 0
    assert capsys.readouterr().out == (
        "fleet edge: drift policy report\nfleet edge: drift policy heal\n"
    )
    assert master.bodies("PATCH", FLEET) == [
        {"policies": {"drift": "report"}},
        {"policies": {"drift": "heal", "heal_after_s": 120}},
    ]
    asked = [one.headers["if-match"] for one in master.asked if one.method == "PATCH"]
    assert asked == ['"7-f1"'] * 2
