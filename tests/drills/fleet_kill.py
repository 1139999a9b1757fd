"""Breaks a fleet of real processes at every step of its rollouts, and has a judge look at it.

    sudo .venv/bin/python tests/drills/fleet_kill.py [--database postgresql] [--steps wave,undoing]
        [--engines native,nginx,native] [--times 1] [--seed 1] [--pause 1.5] [--history FILE]

A master and its nodes run in network namespaces of their own. Revisions roll out and are undone; at
each step of that the master is killed with SIGKILL, and something else breaks with it: a node's
control process or a whole node is killed, a node's cable is cut in both directions or in one until
the master is back, or the database is killed in the middle of writes. Meanwhile clients ask every
node all the time and somebody writes resources. `tests/support/history.py` judges what all of them
saw. The exit code is 1 if it finds a fault.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from fleet_lab import PATIENCE_S, W, Writer, allow_back
from fleet_stage import Stage, parser, run, say
from waiting import until

STEPS = {
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
}
"""How the timeline says that a step has begun."""
_UNDOING = ("undoing", "undone")


def pause(stage: Stage) -> None:
    """Lets the fleet go on for a while, so that a step is hit anywhere within it."""
    time.sleep(stage.chance.uniform(0.0, stage.options.pause))


@contextlib.contextmanager
def kill_control(stage: Stage) -> Iterator[str]:
    """The part of a node that talks with the master."""
    node = stage.chance.choice(stage.nodes)
    before = node.control()
    if before:
        os.kill(before, signal.SIGKILL)
    yield f"killed the control process of {node.name}"
    until(lambda: node.control() not in {0, before}, "control", deadline_s=PATIENCE_S)


@contextlib.contextmanager
def kill_node(stage: Stage) -> Iterator[str]:
    """Everything of a node."""
    node = stage.chance.choice(stage.nodes)
    node.restart(stage.history)
    yield f"killed {node.name}"


@contextlib.contextmanager
def cut(stage: Stage) -> Iterator[str]:
    """A partition between a node and its master, of both directions or of one."""
    name = stage.chance.choice(stage.star.names)
    is_one_way = stage.chance.random() < 0.5
    stage.star.cut(name, is_one_way=is_one_way)
    yield f"cut {name} off" + (" in one direction" if is_one_way else "")
    pause(stage)
    stage.star.mend(name)


@contextlib.contextmanager
def kill_database(stage: Stage) -> Iterator[str]:
    """PostgreSQL, in the middle of writes, shortly before the master dies too."""
    if stage.postgres is None:
        with cut(stage) as text:
            yield text
        return
    stage.postgres.start()
    yield "killed the database before that"


BREAKS = (kill_control, cut, kill_database, kill_node)


def break_at(stage: Stage, step: str, rollout: str) -> None:
    """Waits for a step of a rollout and breaks things there."""
    if not reached(stage, step, rollout):
        say(f"{step}: did not come, as no connected agent was left for it")
        return
    pause(stage)
    also = BREAKS[len(stage.breaks) % len(BREAKS)]
    if also is kill_database and stage.postgres is not None:
        stage.postgres.kill()
        pause(stage)
    begun = time.monotonic()
    stage.master.kill()
    with also(stage) as text:
        stage.breaks.append(f"{step}: killed the master, {text}")
        stage.master.start()
        say(f"{stage.breaks[-1]}; the master answers after {time.monotonic() - begun:.1f} s")


def reached(stage: Stage, step: str, rollout: str) -> bool:
    """Waits for a step; whether it came before a later one did."""
    names = list(STEPS)
    later = [STEPS[one] for one in names[names.index(step) + 1 :]]
    stands: list[bool] = []

    def do() -> bool:
        texts = stage.texts(rollout)
        is_there = any(one.startswith(STEPS[step]) for one in texts)
        if is_there or any(one.startswith(tuple(later)) for one in texts):
            stands.append(is_there)
        return bool(stands)

    stage.wait(do, step, rollout)
    return stands[0]


def roll_out(stage: Stage, number: int, steps: Sequence[str]) -> None:
    """Rolls the next revision out, and undoes it if steps of that are asked for."""
    before = stage.serving
    rollout = stage.begin(number)
    for step in steps:
        if step not in _UNDOING:
            break_at(stage, step, rollout)
    stage.until_ended(rollout, "succeeded", number)
    if not any(step in _UNDOING for step in steps):
        return
    allow_back(stage.history, before)
    stage.person.ask(f"{W}/rollouts/{rollout}/orders", {"verb": "undo"})
    for step in steps:
        if step in _UNDOING:
            break_at(stage, step, rollout)
    stage.until_ended(rollout, "undone", before)


def play(stage: Stage) -> int:
    """Breaks the fleet; how many faults were found."""
    options = stage.options
    writer = Writer(stage.history)
    try:
        for number in range(options.times):
            roll_out(stage, 2 + number, options.steps.split(","))
        roll_out(stage, 2 + options.times, ())
        stage.wait(lambda: all(one.is_connected() for one in stage.nodes), "sessions")
    finally:
        writer.end()
    return stage.judge()


def main() -> int:
    """Reads the command line; the exit code."""
    known = parser()
    known.add_argument("--steps", default=",".join(STEPS))
    known.add_argument("--times", type=int, default=1, help="how often all of that happens")
    known.add_argument("--pause", type=float, default=1.5, help="the longest, in seconds")
    options = known.parse_args()
    if unknown := set(options.steps.split(",")) - set(STEPS):
        known.error(f"no such step: {', '.join(unknown)}; write some of {', '.join(STEPS)}")
    return run(options, play)


if __name__ == "__main__":
    sys.exit(main())
