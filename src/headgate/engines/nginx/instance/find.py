"""Finds the master: by its pid file, by systemd, by the titles in /proc.

A pid file may be stale or be written in another pid namespace, so a pid counts only when its
process calls itself an nginx master and does not name another config.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from headgate.engines.nginx.instance.place import Place
from headgate.engines.nginx.instance.procfs import Procfs, Seen

_SYSTEMCTL_S: Final = 5.0


class SeveralMastersError(LookupError):
    """More than one unrelated master fits; says which, and asks for a pid file."""


def master(place: Place, procfs: Procfs, default_conf: Callable[[Seen], str | None]) -> Seen | None:
    """Returns the instance's master, in a binary upgrade the new one; None while there is none.

    `default_conf` says for a master without `-c` which config its binary has built in.
    Raises SeveralMastersError.
    """

    def fits(seen: Seen) -> bool:
        named = _absolute(seen)
        return place.conf == (default_conf(seen) if named is None else named)

    for pid in (_pid_in(place.pid_path), _main_pid(place.unit)):
        seen = procfs.look(pid) if pid else None
        if seen is not None and seen.is_master and fits(seen):
            return seen
    return _only(place, [seen for seen in procfs.masters() if fits(seen)])


def other_master(seen: Seen, place: Place, procfs: Procfs) -> Seen | None:
    """Returns the second master while a binary upgrade is under way: the old one's child, its
    parent, or the one in the `.oldbin` file.
    """
    # A copy is a worker that still has its master's title; the new binary was executed.
    family = [child for child in procfs.children(seen.pid) if not child.is_copy]
    parent = None if seen.is_copy else procfs.look(seen.parent)
    if parent is not None:
        family.append(parent)
    old = _pid_in(f"{place.pid_path}.oldbin") if place.pid_path else 0
    named = procfs.look(old) if old and old != seen.pid else None
    if named is not None:
        family.append(named)
    return next((one for one in family if one.is_master), None)


def pid_file(path: str) -> int:
    """Returns the pid in a pid file; 0 when it is missing, empty or invalid."""
    return _pid_in(path)


def _only(place: Place, found: Sequence[Seen]) -> Seen | None:
    parents = {seen.parent for seen in found}
    newest = [seen for seen in found if seen.pid not in parents]
    if len(newest) > 1:
        pids = ", ".join(map(str, sorted(seen.pid for seen in newest)))
        raise SeveralMastersError(
            f"several nginx masters run with {place.conf}: {pids}; name the pid file of one"
        )
    return newest[0] if newest else None


def _absolute(seen: Seen) -> str | None:
    conf = seen.config()
    if conf is None or conf.startswith("/"):
        return conf
    prefix = re.search(r"\s-p\s*(\S+)", seen.title)
    return str(PurePosixPath(prefix[1]) / conf) if prefix else conf


def _pid_in(path: str | None) -> int:
    if path is None:
        return 0
    try:
        text = Path(path).read_text(errors="replace").strip()
    except OSError:
        return 0
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0


def _main_pid(unit: str | None) -> int:
    """Returns the unit's `MainPID` from systemd (systemd.service(5)); 0 without one."""
    systemctl = shutil.which("systemctl")
    if unit is None or systemctl is None:
        return 0
    try:
        asked = subprocess.run(
            [systemctl, "show", "--property=MainPID", "--value", "--", unit],
            capture_output=True,
            text=True,
            timeout=_SYSTEMCTL_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    text = asked.stdout.strip()
    return int(text) if text.isdigit() else 0
