"""What the commands of rollouts and freezes ask of a master, print, and end with."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_master import SHOP, ScriptedMaster, installed, left
from told_clock import ToldClock

from headgate.cli.remote import rollout_view

DONE: dict[str, object] = {
    "id": "r2",
    "revision": 8,
    "base": 7,
    "status": "succeeded",
    "hold": "",
    "reason": "",
    "waves": [],
    "agents": [{"agent": "a", "serving": 8, "standing": "done", "is_online": True, "error": ""}],
    "timeline": [{"at": "T1", "text": "wave 1 begins"}],
}
UNDONE = DONE | {"status": "undone", "reason": "gate"}
FOLLOWED = "T1  wave 1 begins\nrevision 8 is serving on all 1 agents\n"
R2 = f"GET {SHOP}/rollouts/r2"
FREEZE: dict[str, object] = {
    "id": "z1",
    "fleet": "",
    "begins_at": "T1",
    "ends_at": "T2",
    "reason": "the sale",
}
Command = Callable[..., int]


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    monkeypatch.setattr(rollout_view, "_INTERVAL_S", 0.0)
    one = installed(monkeypatch, tmp_path / "home")
    one.answers = {
        f"GET {SHOP}/rollouts": {"items": [{"id": "r1"}, {"id": "r2"}]},
        f"POST {SHOP}/rollouts": {"id": "r2"},
        R2: DONE,
    }
    return one


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Command:
    return lambda *arguments: left(monkeypatch, *arguments)


def test_a_start_says_all_its_terms_and_waits_for_nobody(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("rollout", "start", "edge", "8") == 0
    assert capsys.readouterr().out == "rollout r2 is made\n"
    assert run("rollout", "start", "edge", "8", "--now", "--supersede", "--approvals", "2") == 0
    first, second = master.bodies("POST", f"{SHOP}/rollouts")
    assert first == {
        "fleet": "edge",
        "revision": 8,
        "waves": ["1", "10%", "50%", "rest"],
        "soak_s": 300.0,
        "gates": {"min_requests": 50, "quarantine": "refuse"},
        "max_unavailable": 0,
        "approvals": 0,
        "is_now": False,
        "supersede": False,
    }
    assert isinstance(second, dict)
    assert (second["is_now"], second["supersede"], second["approvals"]) == (True, True, 2)
    assert [one for one in master.asked if one.path.endswith("/r2")] == []


def test_a_rollout_brings_a_revision_or_a_program_and_never_both(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ((), ("8", "--program", "1.5.0")):
        assert run("rollout", "start", "edge", *words) == 2
        assert "name a revision, or give --program VERSION" in capsys.readouterr().err
    assert master.asked == []
    # An empty version is for the master to refuse; it is not a rollout of a revision.
    for version in ("1.5.0", ""):
        assert run("rollout", "start", "edge", "--program", version) == 0
        body = master.bodies("POST", f"{SHOP}/rollouts")[-1]
        assert isinstance(body, dict)
        assert (body["program"], "revision" in body) == (version, False)


def test_limits_of_gates_are_numbers_with_a_name(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--gate", "traffic_of_control=0.2", "--gate", "latency_over_control_ms=10000")
    assert run("rollout", "start", "edge", "8", "--min-requests", "20", *more) == 0
    (body,) = master.bodies("POST", f"{SHOP}/rollouts")
    assert isinstance(body, dict)
    assert body["gates"] == {
        "min_requests": 20,
        "quarantine": "refuse",
        "traffic_of_control": 0.2,
        "latency_over_control_ms": 10000,
    }
    for wrong in ("traffic_of_control", "traffic_of_control=", "traffic_of_control=half"):
        assert run("rollout", "start", "edge", "8", "--gate", wrong) == 2
        assert f'"{wrong}" is not a limit' in " ".join(capsys.readouterr().err.split())
    assert len(master.bodies("POST", f"{SHOP}/rollouts")) == 1


def test_a_start_that_waits_leaves_with_the_end(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("rollout", "start", "edge", "8", "--wait") == 0
    assert capsys.readouterr().out == "rollout r2 is made\n" + FOLLOWED
    master.answers[R2] = UNDONE
    assert run("rollout", "start", "edge", "8", "--wait") == 3
    assert "was undone: gate" in capsys.readouterr().err


def test_a_start_for_a_program_shows_the_rollout_alone(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    rolling = DONE | {"status": "rolling"}
    master.answers[R2] = rolling
    assert run("rollout", "start", "edge", "8", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == rolling
    master.answers[R2] = [rolling, UNDONE]
    assert run("rollout", "start", "edge", "8", "-o", "json", "--wait") == 3
    assert json.loads(capsys.readouterr().out) == UNDONE
    master.answers[R2] = DONE
    assert run("rollout", "start", "edge", "8", "-o", "json", "--wait") == 0
    assert json.loads(capsys.readouterr().out) == DONE


def test_a_wait_that_ends_while_the_master_is_away_is_late(
    master: ScriptedMaster,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = ToldClock()
    monkeypatch.setattr(rollout_view, "time", clock)
    monkeypatch.setattr(rollout_view, "_INTERVAL_S", 1.0)
    start = ("rollout", "start", "edge", "8", "--wait", "--timeout", "5", "-o", "json")
    rolling = DONE | {"status": "rolling"}
    master.answers[R2] = [rolling, 503]
    assert run(*start) == 5
    said = capsys.readouterr()
    assert json.loads(said.out) == rolling
    assert said.err == "headgate: answered 503; follow rollout r2 when it is back\n"
    master.answers[R2] = 503
    assert run(*start) == 5
    assert capsys.readouterr().out == ""


def test_a_status_shows_the_newest_rollout_and_watches_only_if_asked(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[R2] = DONE | {"status": "rolling"}
    assert run("rollout", "status") == 0
    assert capsys.readouterr().out.startswith("rollout r2: revision 8, rolling\n")
    master.answers[R2] = UNDONE
    assert run("rollout", "status", "r2") == 0
    assert capsys.readouterr().out.startswith("rollout r2: revision 8, undone: gate\n")
    assert run("rollout", "status", "--watch") == 3
    assert "was undone: gate" in capsys.readouterr().err
    assert run("rollout", "status", "--watch", "-o", "json") == 3
    assert json.loads(capsys.readouterr().out) == UNDONE
    master.answers[R2] = DONE
    assert run("rollout", "status", "--watch") == 0
    assert capsys.readouterr().out == FOLLOWED


@pytest.mark.parametrize("verb", ["pause", "promote", "abort", "undo"])
def test_an_order_is_given_to_the_newest_rollout(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    master.answers[f"POST {SHOP}/rollouts/r2/orders"] = {"id": "r2", "status": "paused"}
    assert run("rollout", verb) == 0
    assert capsys.readouterr().out == "rollout r2 is paused\n"
    assert run("rollout", verb, "r2", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == {"id": "r2", "status": "paused"}
    assert master.bodies("POST", f"{SHOP}/rollouts/r2/orders") == [{"verb": verb}] * 2


def test_an_approval_has_no_body(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"POST {SHOP}/rollouts/r1/approvals"] = {"id": "r1", "status": "rolling"}
    assert run("rollout", "approve", "r1") == 0
    assert capsys.readouterr().out == "rollout r1 is rolling\n"
    assert master.bodies("POST", f"{SHOP}/rollouts/r1/approvals") == [None]


def test_a_freeze_begins_is_listed_and_ends(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    freezes = f"{SHOP}/freezes"
    master.answers |= {
        f"POST {freezes}": FREEZE,
        f"GET {freezes}": {"items": [FREEZE]},
        f"DELETE {freezes}/z1": None,
    }
    start = ("freeze", "start", "--reason", "the sale")
    assert run(*start, "--hours", "1.5", "--fleet", "edge") == 0
    assert capsys.readouterr().out == "freeze z1 holds until T2\n"
    assert run(*start, "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == FREEZE
    assert master.bodies("POST", freezes) == [
        {"fleet": "edge", "seconds": 5400, "reason": "the sale"},
        {"fleet": "", "seconds": 86400, "reason": "the sale"},
    ]
    assert run("freeze", "list") == 0
    assert capsys.readouterr().out.splitlines()[1] == "z1   -       T1          T2        the sale"
    assert run("freeze", "end", "z1") == 0
    assert capsys.readouterr().out == "freeze z1 is over\n"
    assert len(master.bodies("DELETE", f"{freezes}/z1")) == 1
