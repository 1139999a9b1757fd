"""Decides `boot_safe`: whether nginx always starts on a proven release, also without a network.

A guard stands before the start, and `nginx -t` of what it starts passes with nothing but the disk.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.engines.nginx.apply.guard import MARK, boot_id
from headgate.engines.nginx.apply.readfiles import ReadFiles
from headgate.engines.nginx.common.types import Instance, Process, RightMissingError
from headgate.engines.nginx.instance.procfs import boot_time

_SYSTEMCTL_S: Final = 5.0
_TOLD: Final = 3
_GUARDS: Final = ("nginx guard", "headgate.engines.nginx.apply.guard")
_SLACK_S: Final = 2.0
"""Start times from /proc and file times are rounded differently."""
_LONGEST_START_S: Final = 60.0
"""Between the guard and the master of the same start."""


@dataclass(frozen=True, slots=True)
class BootSafe:
    """The verdict on whether nginx can only start with a verified release; `why` is for people."""

    is_safe: bool
    why: str


def boot_safe(
    root: Path, master: Process | None, unit: str | None, *, we_start_it: bool
) -> BootSafe:
    """Returns whether the guard is installed, and why not.

    It follows from who starts nginx: we do, its unit has the guard in `ExecStartPre=`
    (systemd.service(5)), or a guard ran in this boot just before the master that runs.
    """
    if we_start_it:
        return BootSafe(True, "the node starts nginx")
    if unit is not None and _in_unit(unit):
        return BootSafe(True, f"the guard is in ExecStartPre of {unit}")
    if master is not None and _ran_before(root, master):
        return BootSafe(True, "the guard ran before this master was started")
    where = f"ExecStartPre of {unit}" if unit else "what starts nginx"
    return BootSafe(False, f"the guard is not in {where}: a reboot may start an unproven release")


class DiskTests:
    """Tests of whether a release starts with nothing but the disk; each release is tested once.

    A test is repeated when a file changes that the config reads: a foreign config that includes it,
    or a certificate outside of it.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._known: dict[tuple[str, str], tuple[str, ReadFiles]] = {}

    def problem(self, release: str | None, conf: str) -> str:
        """Returns why nginx would not start with `conf` without a network; empty when it would.

        Blocks for an `nginx -t` unless it has tested the release as it is. `conf` is the release's
        own, or the foreign one that includes it.
        """
        if release is None:
            return "no release is proven yet"
        known = self._known.get((release, conf))
        if known is not None and not known[1].have_changed():
            return known[0]
        files = ReadFiles.of(conf)
        try:
            tested = self._instance.test(conf, from_disk=True)
        except (OSError, LookupError, RightMissingError) as error:
            return f"whether {release} starts without a network cannot be tested: {error}"
        words = "; ".join(tested.problems[:_TOLD])
        found = "" if tested.ok else f"{release} would not start without a network: {words}"
        self._known = {(release, conf): (found, files)} if tested.ok else {}
        return found


def with_disk(found: BootSafe, problem: Callable[[], str]) -> BootSafe:
    """Returns `found`, or why not if the guard would start a release
    that needs more than the disk.
    """
    why = problem() if found.is_safe else ""
    return BootSafe(False, why) if why else found


def _in_unit(unit: str) -> bool:
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return False
    try:
        asked = subprocess.run(
            [systemctl, "show", "--property=ExecStartPre", "--value", "--", unit],
            capture_output=True,
            text=True,
            timeout=_SYSTEMCTL_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return any(guard in asked.stdout for guard in _GUARDS)


def _ran_before(root: Path, master: Process) -> bool:
    """Reports whether the last guard ran in this boot and not after the master was started."""
    try:
        mark = json.loads((root / MARK).read_bytes())
        boot, at = str(mark["boot"]), float(mark["at"])
        now_up = float(Path("/proc/uptime").read_text().split()[0])
        booted_at = boot_time()
    except (OSError, ValueError, KeyError, TypeError):
        return False
    started_up = master.started / os.sysconf("SC_CLK_TCK")
    if started_up > now_up or boot != boot_id():
        return False
    return 0 <= booted_at + started_up - at + _SLACK_S <= _LONGEST_START_S
