"""Takes the master away in the middle of a rollout, while its nodes restart again and again.

    sudo .venv/bin/python tests/drills/fleet_away.py [--restarts 40] [--database postgresql]
        [--engines native,nginx,native] [--seed 1] [--history FILE]

The master is killed once the first wave serves. Then nodes restart in turn, by SIGTERM and by
SIGKILL, while clients ask them: each must go on with the revision that it served. Once the master
is back, each node must have one session, must apply nothing that it serves already and the rest
once, and the rollout must go on without beginning a wave again. The exit code is 1 otherwise, or if
`tests/support/history.py` finds a fault.
"""

import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from absence import event, resumed, resynced, unchanged
from fleet_lab import PATIENCE_S, Node
from fleet_stage import Stage, parser, run, say
from waiting import until

_SIGNALS = (signal.SIGTERM, signal.SIGKILL)


def play(stage: Stage) -> int:
    """The master leaves, nodes restart, the master comes back; how many faults were found."""
    rollout = stage.begin(2)
    serves = "soak: wave 1 (1) serves"
    stage.wait(lambda: any(one.startswith(serves) for one in stage.texts(rollout)), serves, rollout)
    stage.master.kill()
    for node in stage.nodes:  # whoever was in the middle of applying is not any more
        restart(stage, node, signal.SIGKILL)
    served = {node.name: node.revision() for node in stage.nodes}
    left = time.monotonic()
    for number in range(stage.options.restarts):
        node = stage.nodes[number % len(stage.nodes)]
        restart(stage, node, _SIGNALS[number // len(stage.nodes) % len(_SIGNALS)])
    back = time.monotonic()
    say(f"the master was away for {back - left:.1f} s; served meanwhile: {served}")
    stage.master.start()
    stage.until_ended(rollout, "succeeded", 2)
    said = {node.name: [event(line) for line in node.lines()] for node in stage.nodes}
    found = stage.judge()
    wrong = [
        *unchanged(stage.history.seen, served, left, back),
        *(one for name in served for one in resynced(name, said[name], served[name], 2)),
        *resumed(stage.texts(rollout)),
    ]
    for one in wrong:
        say(one)
    return found + len(wrong)


def restart(stage: Stage, node: Node, by: signal.Signals) -> None:
    """Ends a node, starts it again, and waits until it proved to serve."""
    node.restart(stage.history, by)
    until(lambda: node.revision() > 0, f"{node.name} serves", deadline_s=PATIENCE_S)
    stage.breaks.append(f"{node.name}: {by.name}")


def main() -> int:
    """Reads the command line; the exit code."""
    known = parser()
    known.add_argument("--restarts", type=int, default=40, help="of nodes, one after the other")
    return run(known.parse_args(), play)


if __name__ == "__main__":
    sys.exit(main())
