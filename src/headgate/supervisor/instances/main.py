"""Runs an agent with several instances. `headgate agent` makes its one argument, a JSON object."""

from __future__ import annotations

import json
import os
import stat
import sys

from headgate.supervisor import logs, notify
from headgate.supervisor.instances.driver import Driver, recipes
from headgate.supervisor.instances.machine import Machine
from headgate.supervisor.statedir import INSTANCES, Lock, StateDirError


def main() -> int:
    """Runs the agent; returns the exit code.

    Options: `state_dir`, `log_level`, `instances` (by name: the `command` of its supervisor, and
    `grace_s`, the longest that this takes to end) and `reader`, the command that writes
    `{"instances": …}` of the present config, or `{"error": TEXT}`.
    """
    options = json.loads(sys.argv[-1])
    try:
        with open("/proc/self/comm", "w") as comm:
            comm.write("headgate-agent")  # what `ps` shows
    except OSError:
        pass
    logs.set_level(options.get("log_level") or "info")
    logs.name({"process": "agent"})
    try:
        lock = Lock(options["state_dir"])
        _let_pass(options["state_dir"])
    except (StateDirError, OSError) as error:
        sys.stderr.write(f"headgate: {error}\n")
        return 1
    machine = Machine(recipes(options["instances"]), notify.watchdog_s(os.environ))
    code = Driver(machine, options["state_dir"], options["reader"]).run()
    del lock  # held until here
    return code


def _let_pass(state_dir: str) -> None:
    """Lets the workers of each nginx, whatever their group, pass through to what is theirs in the
    directory of its instance, which is closed to others. Raises OSError."""
    folder = os.path.join(state_dir, INSTANCES)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for path in (state_dir, folder):
        mode = stat.S_IMODE(os.stat(path).st_mode) | stat.S_IXGRP | stat.S_IXOTH
        os.chmod(path, mode)
