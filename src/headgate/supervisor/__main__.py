"""Runs the supervisor. `headgate run` makes its one argument, a JSON object.

It is started with `-I -S` (see `headgate.cli.run`): what `site` imports would cost it 1 MB.
"""

from __future__ import annotations

import json
import os
import sys

from headgate.supervisor import cpus, descriptors, leash, logs, notify
from headgate.supervisor.children import (
    ExtensionMissingError,
    data_plane_command,
    extension_path,
)
from headgate.supervisor.driver import Driver
from headgate.supervisor.early import Early
from headgate.supervisor.listeners import Listeners
from headgate.supervisor.machine import Machine
from headgate.supervisor.state import FALLBACK_S, Settings
from headgate.supervisor.statedir import Lock, StateDirError, remembered


def main() -> int:
    """Runs a node; returns the exit code.

    Options: `state_dir`, `workers` (null = by CPU), `log_level`,
    `control` (the command of the control process), `has_data_plane` (false where nginx serves)
    `control_grace_s`, and `fallback_s` where it is not as usual. `instance` is there where this is
    one of several nodes of an agent, which started it; `early` where a control process waits: its
    pid, and the descriptor of `Early`.
    """
    options = json.loads(sys.argv[-1])
    has_data_plane: bool = options["has_data_plane"]
    _name_process("headgate")
    descriptors.raise_limit()
    logs.set_level(options.get("log_level") or "info")
    if options.get("instance"):
        logs.name({"instance": options["instance"]})
        leash.wear()
    try:
        lock = Lock(options["state_dir"])
        if has_data_plane:
            extension_path()
    except (StateDirError, ExtensionMissingError) as error:
        sys.stderr.write(f"headgate: {error}\n")
        return 1
    allowed = cpus.allowed_cpus()
    settings = Settings(
        state_dir=options["state_dir"],
        cpus=allowed,
        default_workers=cpus.worker_count(len(allowed), cpus.quota()),
        watchdog_s=notify.watchdog_s(os.environ),
        last_good=remembered(options["state_dir"]) if has_data_plane else None,
        has_data_plane=has_data_plane,
        control_grace_s=options["control_grace_s"],
        run=os.urandom(3).hex(),
        fallback_s=options.get("fallback_s", FALLBACK_S),
    )
    machine = Machine(settings, os.urandom(32), options.get("workers"))
    early = Early(*options["early"]) if "early" in options else None
    listeners = Listeners(machine.state.workers)
    driver = Driver(machine, listeners, _data_plane, options["control"], early)
    code = driver.run()
    del lock  # held until here
    return code


def _data_plane() -> list[str]:
    return data_plane_command(extension_path())


def _name_process(name: str) -> None:
    """Sets what `ps` and `top` show; only a convenience."""
    try:
        with open("/proc/self/comm", "w") as comm:
            comm.write(name)
    except OSError:
        pass


if __name__ == "__main__":
    sys.exit(main())
