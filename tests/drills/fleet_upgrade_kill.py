"""Kills the master at every step of staged upgrades of its agents, and has a judge look at that.

    sudo .venv/bin/python tests/drills/fleet_upgrade_kill.py [--database postgresql]
        [--steps wave,installing] [--engines native,nginx,native] [--seed 1] [--pause 1.5]

A master and its nodes run in network namespaces of their own; each node has an upgrade command and
versions of headgate of its own. A version rolls out in two waves and is undone; another one, which
cannot be installed, rolls out and undoes itself. At each step of that, of the rollout as well as of
an agent, the master is killed with SIGKILL. While an agent installs or changes over, the master
stays away until the agent has ended its order, or comes back before that. Clients ask every node
all the time and somebody writes resources. `tests/support/history.py` judges what all of them saw,
and what each node runs, has installed and was asked for. The exit code is 1 if it finds a fault.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from fleet_lab import PATIENCE_S, Node, W, Writer
from fleet_programs import MISSING, NEW, OLD, Programs
from fleet_stage import Stage, parser, run, say
from history import Ended
from star import Star
from waiting import until

THERE: Final = ("queued", "rolling", "wave", "installing", "handing-over", "soak", "passed")
THERE_LAST: Final = ("next-wave", "last-installing", "last-soak", "succeeded")
BACK: Final = ("undoing", "undo-installing", "undo-handing-over", "undone")
FAILING: Final = ("failing-installing", "failing", "failed")
STEPS: Final = (*THERE, *THERE_LAST, *BACK, *FAILING)
LINES: Final = {
    "queued": "queued: ",
    "rolling": "rolling: ",
    "wave": "wave: wave 1 (1) begins",
    "soak": "soak: wave 1 (1) serves",
    "passed": "wave: wave 1 (1) passed",
    "next-wave": "wave: wave 2 (rest) begins",
    "last-soak": "soak: wave 2 (rest) serves",
    "succeeded": "succeeded: ",
    "undoing": "undoing: ",
    "undone": "undone: ",
    "failing": "undoing: ",
    "failed": "undone: ",
}
"""How the timeline says that a step has begun; the others are steps of an agent."""
ENDS_AWAY: Final = frozenset({"last-installing", "handing-over", "failing-installing"})
"""Steps of an agent that it ends while the master is away."""


class UpgradableNode(Node):
    """A node with an upgrade command and versions of its own."""

    def __init__(self, folder: Path, star: Star, name: str, engine: str, token: str) -> None:
        self.programs = Programs(folder.parent / f"{folder.name}-programs")
        self.judged = 0
        super().__init__(folder, star, name, engine, token)

    def _start(self, command: list[str], *arguments: str, **env: str) -> "subprocess.Popen[bytes]":
        return super()._start(command, *arguments, **env, **self.programs.environment)

    def order(self) -> dict[str, Any]:
        """How far it is with its newest order, as it keeps that on disk."""
        with suppress(OSError, ValueError):
            found = json.loads((self.state / "master" / "upgrade.json").read_text())
            assert isinstance(found, dict)
            return found
        return {"step": "", "program": "", "order": 0}

    def runs(self) -> str:
        """The version of its control process."""
        with suppress(Exception):
            return str(self.status()["control"]["version"])  # type: ignore[index]
        return ""


class Upgrade:
    """One rollout of a version, at whose steps the master is killed."""

    def __init__(self, stage: Stage, program: str, steps: Sequence[str]) -> None:
        self.stage = stage
        self.steps = steps
        self.nodes = [one for one in stage.nodes if isinstance(one, UpgradableNode)]
        # Those whose installation of a program went on: on a busy machine they still install it
        # when the next wave is waited for.
        self.released: set[tuple[str, str]] = set()
        for node in self.nodes:
            node.programs.hold()
        self.id = stage.upgrade(program)

    def kill_at(self, names: Sequence[str], program: str) -> None:
        """Kills the master at those of the steps that were asked for, in their order."""
        for step in names:
            if step in LINES and step in self.steps:
                self._come(LINES[step], step)
                self._kill(step, _nothing)
            elif step.endswith("installing"):
                self._at_install(step, program)
            elif step not in LINES and step in self.steps:
                self._at_change(step, program)

    def _come(self, line: str, step: str) -> None:
        def has_come() -> bool:
            return any(one.startswith(line) for one in self.stage.texts(self.id))

        self.stage.wait(has_come, step, self.id)

    def _at_install(self, step: str, program: str) -> None:
        """Lets the installations that wait go on, with the master away or not."""

        def installs() -> list[UpgradableNode]:
            held = [one for one in self.nodes if (one.name, program) not in self.released]
            found = [(one, one.order()) for one in held]
            wanted = ("installing", program)
            return [one for one, order in found if (order["step"], order["program"]) == wanted]

        self.stage.wait(lambda: bool(installs()), step, self.id)
        first = installs()

        def end_it() -> None:
            release(first)
            ended(first)

        if step in self.steps:
            self._kill(step, end_it if step in ENDS_AWAY else _nothing)
        # Those of a later wave wait for their own step.
        released = first if step == "installing" else self.nodes
        release(released)
        self.released |= {(one.name, program) for one in released}

    def _at_change(self, step: str, program: str) -> None:
        """Kills the master while a node changes over, if that is seen."""

        def changes() -> list[UpgradableNode]:
            return [one for one in self.nodes if one.order()["step"] == "handing-over"]

        def is_over() -> bool:
            return all(one.order()["step"] in {"", "ended"} for one in self.nodes)

        self.stage.wait(lambda: bool(changes()) or is_over(), step, self.id)
        if not (found := changes()):
            say(f"{step}: it was over before anybody saw it")
            return
        self._kill(step, (lambda: ended(found)) if step in ENDS_AWAY else _nothing)

    def _kill(self, step: str, meanwhile: Callable[[], None]) -> None:
        stage = self.stage
        time.sleep(stage.chance.uniform(0.0, stage.options.pause))
        begun = time.monotonic()
        stage.master.kill()
        meanwhile()
        stage.breaks.append(f"{step}: killed the master")
        stage.master.start()
        say(f"{stage.breaks[-1]}; it answers after {time.monotonic() - begun:.1f} s")

    def judge(self, status: str, wanted: str, ordered: tuple[str, ...]) -> None:
        """Waits for the end; what each node runs then goes into the history."""
        self.stage.until_status(self.id, status)
        for node in self.nodes:
            asked = node.programs.asked[node.judged :]
            node.judged += len(asked)
            one = Ended(
                node.name, wanted, node.runs(), node.programs.installed, tuple(asked), ordered
            )
            self.stage.history.upgrades.append(one)


def _nothing() -> None:
    """Nobody does anything while the master is away."""


def release(nodes: Sequence[UpgradableNode]) -> None:
    """Lets what these nodes install go on."""
    for node in nodes:
        node.programs.release()


def ended(nodes: Sequence[UpgradableNode]) -> None:
    """Waits until these nodes have ended their orders."""

    def have() -> bool:
        return all(one.order()["step"] == "ended" for one in nodes)

    until(have, "the end of an order", deadline_s=PATIENCE_S)


def play(stage: Stage) -> int:
    """Kills the master again and again; how many faults were found."""
    writer = Writer(stage.history)
    try:
        upgrades(stage, stage.options.steps.split(","))
    finally:
        writer.end()
    return stage.judge()


def upgrades(stage: Stage, steps: Sequence[str]) -> None:
    """A version comes and goes, and another one fails; with a kill at each of the steps."""
    there = Upgrade(stage, NEW, steps)
    there.kill_at(THERE, NEW)
    there.kill_at(THERE_LAST, NEW)
    release(there.nodes)
    there.judge("succeeded", NEW, (NEW,))
    if set(steps) & set(BACK):
        for node in there.nodes:
            node.programs.hold()
        stage.person.ask(f"{W}/rollouts/{there.id}/orders", {"verb": "undo"})
        there.kill_at(BACK, OLD)
        there.judge("undone", OLD, (OLD,))
    before = OLD if set(steps) & set(BACK) else NEW
    if set(steps) & set(FAILING):
        failing = Upgrade(stage, MISSING, steps)
        failing.kill_at(FAILING, MISSING)
        failing.judge("undone", before, (MISSING,))
    stage.until_all_serve(stage.serving)
    stage.wait(lambda: all(one.is_connected() for one in stage.nodes), "sessions")


def main() -> int:
    """Reads the command line; the exit code."""
    known = parser()
    known.add_argument("--steps", default=",".join(STEPS))
    known.add_argument("--pause", type=float, default=1.5, help="the longest, in seconds")
    options = known.parse_args()
    if unknown := set(options.steps.split(",")) - set(STEPS):
        known.error(f"no such step: {', '.join(unknown)}; write some of {', '.join(STEPS)}")
    return run(options, play, UpgradableNode)


if __name__ == "__main__":
    sys.exit(main())
