"""The process of an agent with several instances, with shell scripts in place of supervisors."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from waiting import DEADLINE_S, until

from headgate.cli import calls
from headgate.supervisor.statedir import INSTANCES_DOOR

SLEEPS = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"]
STUBBORN = ["/bin/sh", "-c", "trap '' TERM; : > \"$0\"; while :; do sleep 0.05; done"]
"""Hears no signal once the file that is its argument is there."""


@contextmanager
def agent(
    place: Path, reader: list[str], grace_s: float = DEADLINE_S, **commands: list[str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """An agent whose instances are these commands, and end within `grace_s` when they are told."""
    starts = {name: {"command": one, "grace_s": grace_s} for name, one in commands.items()}
    told = {"state_dir": str(place), "instances": starts, "reader": reader, "log_level": "info"}
    code = "import sys; from headgate.supervisor.instances.main import main; sys.exit(main())"
    process = subprocess.Popen([sys.executable, "-c", code, json.dumps(told)])
    try:
        until(lambda: _listens(place / INSTANCES_DOOR), "the agent answers")
        yield process
    finally:
        process.kill()
        process.wait()


def _listens(door: Path) -> bool:
    """Whether somebody takes connections there: the file is there a moment before."""
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex(str(door)) == 0


def _ask(place: Path, op: str) -> dict[str, Any]:
    return calls.supervisor(place, op, INSTANCES_DOOR)


def _states(place: Path) -> dict[str, str]:
    return {name: one["state"] for name, one in _ask(place, "instances")["instances"].items()}


def test_a_reload_follows_what_the_reader_writes_and_leaves_no_process_behind(
    tmp_path: Path,
) -> None:
    answer = tmp_path / "answer"
    place = tmp_path / "s"
    with agent(place, ["/bin/cat", str(answer)], a=SLEEPS, b=SLEEPS) as process:
        start = {"command": SLEEPS, "grace_s": DEADLINE_S}
        answer.write_text(json.dumps({"instances": {"b": start, "c": start}}))
        told = _ask(place, "reload")
        assert (told["ok"], told["started"], told["stopped"]) == (True, ["c"], ["a"])
        until(lambda: _states(place) == {"b": "running", "c": "running"}, "a has left")
        answer.write_text(json.dumps({"error": "node.toml:3:1: it is wrong"}))
        assert _ask(place, "reload")["error"] == "node.toml:3:1: it is wrong"
        answer.write_text("rubbish")
        assert _ask(place, "reload")["error"] == "the config could not be read; see the log"
        until(lambda: len(_children(process.pid)) == 2, "no reader is left")
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
    assert not (place / INSTANCES_DOOR).exists()


def test_what_hears_no_signal_is_killed_and_the_exit_code_says_so(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    with agent(tmp_path, ["/bin/true"], 0.1, a=[*STUBBORN, str(deaf)], b=SLEEPS) as process:
        until(deaf.exists, "it hears nothing")
        process.terminate()
        assert process.wait(DEADLINE_S) == 1


def test_a_reader_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never")
    with agent(tmp_path, ["/bin/cat", str(tmp_path / "never")], a=SLEEPS) as process:
        process.send_signal(1)  # SIGHUP
        until(lambda: len(_children(process.pid)) == 2, "the reader runs")
        process.terminate()
        assert process.wait(DEADLINE_S) == 0


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
