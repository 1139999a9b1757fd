"""Finds workers whose master died: they still serve, and keep a new master from the sockets."""

import contextlib
import time
from typing import Final

from headgate.engines.nginx.common.types import Process, SignalName
from headgate.engines.nginx.instance import pidfd
from headgate.engines.nginx.instance.openfiles import open_files
from headgate.engines.nginx.instance.procfs import Procfs

_GONE_S: Final = 5.0
_LOOK_S: Final = 0.01
_DELETED: Final = " (deleted)"


def orphans(error_log: str, procfs: Procfs | None = None) -> tuple[Process, ...]:
    """Returns workers without an nginx master
    that have this error log open: those of one instance.
    """
    procfs = procfs or Procfs()
    found = []
    for seen in procfs.all():
        if not seen.is_worker or seen.process.shutting_down:
            continue
        parent = procfs.look(seen.parent)
        if (parent is None or not parent.is_master) and error_log in _open(procfs, seen.pid):
            found.append(seen.process)
    return tuple(found)


def dismiss(found: tuple[Process, ...], procfs: Procfs | None = None) -> None:
    """Makes orphans close their listeners at once and finish what is in flight.

    Returns when they hold no listener any more, or ends them after 5 s.
    """
    procfs = procfs or Procfs()
    _signal(found, "QUIT", procfs)
    deadline = time.monotonic() + _GONE_S
    while any(_serves(procfs, one) for one in found):
        if time.monotonic() > deadline:
            _signal(found, "TERM", procfs)
            return
        time.sleep(_LOOK_S)


def _serves(procfs: Procfs, process: Process) -> bool:
    """Reports whether it still runs and does not call itself shutting down."""
    seen = procfs.look(process.pid)
    if seen is None or seen.started != process.started:
        return False
    return not seen.process.shutting_down


def _signal(found: tuple[Process, ...], name: SignalName, procfs: Procfs) -> None:
    for one in found:
        with contextlib.suppress(ProcessLookupError):
            pidfd.send(one, name, procfs)


def _open(procfs: Procfs, pid: int) -> set[str]:
    # A log whose folder somebody removed is open, too.
    return {path.removesuffix(_DELETED) for path in open_files(procfs, pid)}
