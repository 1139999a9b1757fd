"""The drill of a master that is away for long, in its shortest form; and what it is judged by."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from absence import Event, event, resumed, resynced, unchanged
from history import Seen
from peers import ROOT_ONLY, peer

DRILL = Path(__file__).with_name("fleet_away.py")
STARTED: list[Event] = [
    {"event": "config.applied", "reason": "start"},
    {"event": "master.connected"},
]
APPLIED: Event = {"event": "config.applied", "reason": "revision 2"}
REPEATED: Event = {"event": "config.unchanged", "reason": "revision 2"}
SEEN = [Seen("east", 2, 1.0, 2.0), Seen("east", 2, 3.0, 4.0), Seen("east", 3, 8.0, 9.0)]


@ROOT_ONLY
@pytest.mark.timeout(900)
def test_nodes_restart_without_their_master_and_get_on_with_it_once() -> None:
    peer("ip")
    short = ["--engines", "native,native", "--restarts", "2", "--soak", "5"]
    drill = subprocess.run(
        [sys.executable, str(DRILL), *short],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert drill.returncode == 0, drill.stdout + drill.stderr
    assert " 0 faults" in drill.stdout


@pytest.mark.parametrize(
    ("events", "served"), [([*STARTED, APPLIED], 1), (STARTED, 2), ([*STARTED, event("?")], 2)]
)
def test_one_session_and_one_apply_are_right(events: list[Event], served: int) -> None:
    assert not list(resynced("east", events, served, 2))


@pytest.mark.parametrize(
    ("events", "served", "fault"),
    [
        (STARTED, 1, "not one resync"),
        ([*STARTED, APPLIED], 2, "not one resync"),
        ([*STARTED, REPEATED], 2, "not one resync"),
        ([*STARTED, APPLIED, REPEATED], 1, "not one resync"),
        ([*STARTED, event('{"event": "master.connected"}')], 2, "not one session"),
        (STARTED[:1], 2, "not one session"),
    ],
)
def test_what_was_done_twice_or_never_is_found(
    events: list[Event], served: int, fault: str
) -> None:
    assert [one.partition(":")[0] for one in resynced("east", events, served, 2)] == [fault]


def test_other_answers_and_none_are_found() -> None:
    assert not list(unchanged(SEEN, {"east": 2}, 0.0, 5.0))
    assert list(unchanged(SEEN, {"east": 2}, 0.0, 9.0))
    assert list(unchanged(SEEN, {"east": 2}, 5.0, 6.0))


@pytest.mark.parametrize("count", [0, 2])
def test_a_rollout_is_taken_over_once(count: int) -> None:
    line = "resumed: a master took the rollout over"
    assert not list(resumed(["queued: x", line]))
    assert list(resumed([line] * count))
