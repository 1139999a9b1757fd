"""What the commands of a rotation ask of a master, and print."""

import json
from pathlib import Path

import pytest
from scripted_master import installed, left


def test_a_rotation_says_how_far_it_is_and_who_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    master = installed(monkeypatch, tmp_path)
    path = "/master/authority/rotation"
    found: dict[str, object] = {"stage": "announced", "waiting": 2, "agents": 5}
    master.answers = {f"POST {path}": [found, found | {"stage": "switched", "waiting": 0}]}
    assert left(monkeypatch, "rotate", "authority", "announce") == 0
    assert left(monkeypatch, "rotate", "authority", "switch", "--force") == 0
    assert capsys.readouterr().out == (
        "the rotation is announced; 2 of 5 agents are not ready for the next step\n"
        "the rotation is switched\n"
    )
    assert master.bodies("POST", path) == [
        {"step": "announce", "is_forced": False},
        {"step": "switch", "is_forced": True},
    ]


def test_the_first_key_is_the_one_that_seals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    master = installed(monkeypatch, tmp_path)
    keys = {"keys": [{"name": "k2", "secrets": 4}, {"name": "k1", "secrets": 0}]}
    master.answers = {
        "POST /master/key/rotation": keys,
        "GET /master/key": keys,
        "GET /master/authority": {"stage": "one"},
    }
    assert left(monkeypatch, "rotate", "key") == 0
    assert capsys.readouterr().out == "the key k2 seals all 4 secrets\n"
    assert left(monkeypatch, "rotate", "status", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == {"authority": {"stage": "one"}, "key": keys}
