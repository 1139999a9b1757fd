"""How an instance differs from its release: every state, from made-up looks."""

import pytest

from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.drift import (
    Binary,
    Desired,
    Edit,
    Mark,
    OnDisk,
    Reloads,
    Running,
    State,
    compared,
)

DESIRED = Desired(
    generation=7,
    root="/state",
    files={"r/nginx.conf": Mark("aa", 0o440), "r/manifest.json": Mark(None)},
    links={"current": "r"},
    folders=("r",),
)
SAME = OnDisk(
    {"r/nginx.conf": Mark("aa", 0o440), "r/manifest.json": Mark("xx", 0o440)}, {"current": "r"}
)
FINE = Running(7)
BINARY = Binary("b1", "b1")


def test_what_is_as_it_should_be_is_in_sync() -> None:
    finding = compared(DESIRED, SAME, FINE, BINARY)
    assert finding.states == (State.IN_SYNC,)
    assert not finding.is_drift
    assert finding.text() == "in sync"


@pytest.mark.parametrize(
    ("disk", "edit"),
    [
        (
            OnDisk({**SAME.files, "r/nginx.conf": Mark("bb", 0o440)}, SAME.links),
            Edit("r/nginx.conf", "edited", "bb"),
        ),
        (
            OnDisk({**SAME.files, "r/nginx.conf": Mark("aa", 0o644)}, SAME.links),
            Edit("r/nginx.conf", "mode", "aa"),
        ),
        (
            OnDisk({"r/manifest.json": Mark("xx")}, SAME.links),
            Edit("r/nginx.conf", "missing"),
        ),
        (
            OnDisk(SAME.files, SAME.links, {"r/x.conf": Mark("cc")}),
            Edit("r/x.conf", "added", "cc"),
        ),
        (OnDisk(SAME.files, {"current": "other"}), Edit("current", "link")),
        (OnDisk(SAME.files, {}), Edit("current", "missing")),
    ],
)
def test_each_way_to_change_the_disk_is_named(disk: OnDisk, edit: Edit) -> None:
    finding = compared(DESIRED, disk, FINE, BINARY)
    assert finding.states == (State.DISK_DRIFT,)
    assert finding.edits == (edit,)
    assert finding.is_drift
    assert finding.text() == f"disk drift: {edit.path} {edit.how}"


def test_an_older_generation_that_runs_is_stale() -> None:
    finding = compared(DESIRED, SAME, Running(6), BINARY)
    assert finding.states == (State.STALE_RUNNING,)
    assert finding.text() == "stale running: generation 6 runs, 7 should"


@pytest.mark.parametrize("running", [Running(8), Running(7, was_reloaded=True)])
def test_a_generation_nobody_applied_or_workers_nobody_started_are_a_foreign_reload(
    running: Running,
) -> None:
    finding = compared(DESIRED, SAME, running, BINARY)
    assert finding.states == (State.FOREIGN_RELOAD,)


@pytest.mark.parametrize("running", [None, Running(None)])
def test_no_answer_is_no_drift(running: Running | None) -> None:
    assert compared(DESIRED, SAME, running, BINARY).states == (State.IN_SYNC,)


def test_another_binary_is_told_and_is_nothing_to_heal() -> None:
    finding = compared(DESIRED, SAME, FINE, Binary("b2", "b1"))
    assert finding.states == (State.BINARY_CHANGED,)
    assert finding.binary == "b2"
    assert not finding.is_drift


def test_several_states_hold_at_once_the_disk_first() -> None:
    finding = compared(DESIRED, OnDisk({}), Running(6, was_reloaded=True), Binary("b2", "b1"))
    assert finding.states == (
        State.DISK_DRIFT,
        State.FOREIGN_RELOAD,
        State.STALE_RUNNING,
        State.BINARY_CHANGED,
    )


def test_a_reload_is_foreign_only_when_no_worker_of_ours_serves() -> None:
    reloads = Reloads()
    first, second = Process(10, 100), Process(11, 100)
    assert not reloads.is_foreign([first, second])
    assert not reloads.is_foreign([first, Process(12, 200)])
    assert reloads.is_foreign([Process(10, 100, shutting_down=True), Process(12, 200)])
    assert not reloads.is_foreign([])
    # The pid of ours again, but not the process.
    assert reloads.is_foreign([Process(10, 300)])
    reloads.ours([Process(10, 300)])
    assert not reloads.is_foreign([Process(10, 300)])
