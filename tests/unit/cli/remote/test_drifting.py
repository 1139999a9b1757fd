"""What `headgate drift` asks of a master, for how long it waits, and what people read."""

from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_master import SHOP, ScriptedMaster, installed, left
from told_clock import ToldClock

from headgate.cli.remote import drifting
from headgate.cli.remote.drifting import _seconds, lines
from headgate.cli.remote.errors import MasterError

AGENT = f"{SHOP}/agents/a1"
FLEET = f"{SHOP}/fleets/edge"
DRIFT: dict[str, object] = {
    "states": ["edited", "foreign"],
    "since": "",
    "policy": "report",
    "held": "",
    "alarm": "",
}
Command = Callable[..., int]


def heal(state: str, error: str = "") -> dict[str, object]:
    """The answer of a master about an agent whose heal stands there."""
    ordered = {"state": state, "ordered_at": "noon", "error": error}
    return {"drift": DRIFT, "fleet_policy": "node", "heal": ordered}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ToldClock:
    one = ToldClock()
    monkeypatch.setattr(drifting, "time", one)
    return one


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    one = installed(monkeypatch, tmp_path)
    one.answers = {
        f"GET {SHOP}/agents": {"items": [{"id": "a1", "name": "web-1"}]},
        f"POST {AGENT}/heal": heal("ordered"),
        f"GET {FLEET}": {"id": "f1", "version": 7},
        f"PATCH {FLEET}": {"version": 8},
    }
    return one


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Command:
    return lambda *arguments: left(monkeypatch, *arguments)


def test_whole_seconds_are_taken() -> None:
    assert [_seconds(text) for text in ("1s", "1.5s", "10m")] == [1, 1, 600]


def test_anything_but_a_duration_is_refused_by_the_name_of_the_option() -> None:
    with pytest.raises(MasterError, match=r'--heal-after: "soon" is not a duration'):
        _seconds("soon")


def test_a_policy_says_how_long_drift_lasts_only_if_asked(
    master: ScriptedMaster, run: Command
) -> None:
    assert run("drift", "policy", "edge", "report") == 0
    assert run("drift", "policy", "edge", "heal", "--heal-after", "2m") == 0
    assert master.bodies("PATCH", FLEET) == [
        {"policies": {"drift": "report"}},
        {"policies": {"drift": "heal", "heal_after_s": 120}},
    ]
    patched = [one.headers["if-match"] for one in master.asked if one.method == "PATCH"]
    assert patched == ['"7-f1"', '"7-f1"']


def test_a_heal_is_looked_at_until_it_is_done(
    master: ScriptedMaster, clock: ToldClock, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"GET {AGENT}/drift"] = [heal("ordered"), heal("done")]
    assert run("drift", "heal", "web-1") == 0
    assert capsys.readouterr().out.endswith("heal         done, ordered noon\n")
    assert clock.waits == [0.5, 0.5]


def test_a_heal_that_is_done_at_once_needs_no_further_look(
    master: ScriptedMaster, clock: ToldClock, run: Command
) -> None:
    master.answers[f"POST {AGENT}/heal"] = heal("done")
    assert run("drift", "heal", "web-1") == 0
    assert clock.waits == []


def test_a_heal_is_not_waited_for_longer_than_told(
    master: ScriptedMaster, clock: ToldClock, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers[f"GET {AGENT}/drift"] = heal("ordered")
    assert run("drift", "heal", "web-1", "--timeout", "1") == 1
    assert "the agent has not answered yet; see `headgate drift show`" in capsys.readouterr().err
    assert clock.waits == [0.5, 0.5]
    assert run("drift", "heal", "web-1", "--no-wait") == 0
    assert capsys.readouterr().out.endswith("heal         ordered, ordered noon\n")
    assert clock.waits == [0.5, 0.5]


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (heal("failed", "a hold"), "a hold"),
        (heal("failed"), "failed"),
        (heal("refused", "no drift"), "no drift"),
    ],
)
def test_a_heal_that_healed_nothing_says_why(
    master: ScriptedMaster,
    clock: ToldClock,
    run: Command,
    capsys: pytest.CaptureFixture[str],
    end: dict[str, object],
    said: str,
) -> None:
    master.answers[f"POST {AGENT}/heal"] = end
    assert run("drift", "heal", "web-1", "--timeout", "1") == 1
    assert capsys.readouterr().err == f"headgate: nothing was healed: {said}\n"


def test_what_an_agent_has_on_disk_becomes_a_draft(
    master: ScriptedMaster, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = [
        {"kind": "routes", "name": "a", "spec": {}},
        {"kind": "routes", "name": "b", "spec": None},
    ]
    master.answers[f"POST {AGENT}/drift/adopt"] = {
        "id": "i1",
        "version": 1,
        "name": "d1",
        "changes": changes,
    }
    assert run("drift", "adopt", "web-1") == 0
    assert (
        capsys.readouterr().out == "draft d1\ntag      1-i1\nwrites   routes/a\nremoves  routes/b\n"
    )


def test_a_drift_that_nobody_knows_is_said_with_the_policy_of_the_fleet() -> None:
    assert list(lines({"drift": None, "fleet_policy": "heal"})) == [
        "drift        not known: no nginx, an older agent, or it has not looked yet",
        "fleet policy heal",
    ]


def test_a_drift_is_said_with_all_that_is_known_of_it() -> None:
    more = {"since": "noon", "held": "by ann", "alarm": "an old file"}
    found: dict[str, object] = {
        "drift": DRIFT | more,
        "fleet_policy": "heal",
        "ignores_policy": "an older agent",
        "heal": {"state": "failed", "ordered_at": "one", "error": "no space"},
        "proposal": {"state": "made", "draft": "d1", "at": "two", "error": ""},
    }
    assert list(lines(found)) == [
        "drift        edited, foreign since noon",
        "policy       report",
        "held         by ann",
        "alarm        an old file",
        "fleet policy heal (an older agent)",
        "heal         failed, ordered one: no space",
        "proposal     made, draft d1, of two",
    ]
    found = {
        "drift": DRIFT,
        "fleet_policy": "adopt",
        "proposal": {"state": "failed", "draft": "", "at": "two", "error": "too large"},
    }
    assert list(lines(found)) == [
        "drift        edited, foreign",
        "policy       report",
        "fleet policy adopt",
        "proposal     failed, of two: too large",
    ]


def test_a_file_is_shown_with_what_headgate_would_write_if_that_is_something_else() -> None:
    file = {"path": "/etc/a", "how": "edited", "since": "noon", "diff": "-a\n+b"}
    files = [
        file | {"next": "other", "next_diff": "-b\n+c"},
        file | {"path": "/etc/b", "next": "same", "next_diff": ""},
    ]
    assert list(lines({"fleet_policy": "node", "files": files}))[2:] == [
        "",
        "/etc/a: edited since noon; headgate would write something else now",
        "-a",
        "+b",
        "what headgate would write now:",
        "-b",
        "+c",
        "",
        "/etc/b: edited since noon; headgate would write what it wrote last",
        "-a",
        "+b",
    ]
