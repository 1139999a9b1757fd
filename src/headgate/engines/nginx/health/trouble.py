"""Checks whether an nginx can serve and reload, by its processes and its status socket."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from headgate.engines.nginx.apply import statussocket
from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.instance.procfs import Procfs

ANSWER_S: Final = 3.0
"""The time that a worker has to answer on the status socket."""

_LOOKS: Final = 2


def trouble(
    master: Process | None, workers: tuple[Process, ...], status_socket: str | None, procfs: Procfs
) -> str:
    """Returns why this nginx cannot serve or be reloaded now; empty when it can.

    `status_socket` None: there is none (a watched nginx). Blocks until the status socket answers.
    """
    if master is None:
        return "nginx does not answer: no master runs"
    if _is_stopped(master, procfs):
        return f"the nginx master {master.pid} is stopped; continue it (kill -CONT {master.pid})"
    live = [one for one in workers if not one.shutting_down]
    if not live:
        return f"no worker of the nginx master {master.pid} lives; its error log says why"
    stopped = [one.pid for one in live if _is_stopped(one, procfs)]
    if stopped:
        pids = " ".join(map(str, stopped))
        return f"nginx workers are stopped: {pids}; continue them (kill -CONT {pids})"
    if status_socket is None:
        return ""
    return _socket_trouble(status_socket)


def _socket_trouble(path: str) -> str:
    if not Path(path).is_socket():
        return f"nginx's status socket {path} is missing, so that no reload can be proven"
    if statussocket.ask(path, ANSWER_S) is None:
        return f"no nginx worker answers on the status socket {path}"
    return ""


def _is_stopped(process: Process, procfs: Procfs) -> bool:
    seen = procfs.look(process.pid)
    return seen is not None and seen.started == process.started and seen.is_stopped


class Health:
    """The trouble that stands against serving, reported once as it comes and goes.

    A trouble counts when seen twice in a row: workers come and go at every reload.
    """

    def __init__(self, tell: Callable[[str, str, str, dict[str, str]], None]) -> None:
        self.trouble = ""
        self._tell = tell
        self._seen = 0

    def saw(self, found: str) -> None:
        """Takes one look."""
        self._seen = self._seen + 1 if found else 0
        if found and self._seen < _LOOKS:
            return
        if bool(found) != bool(self.trouble):
            level, kind = ("error", "nginx.unready") if found else ("info", "nginx.ready")
            self._tell(level, kind, found or "nginx serves and can be changed again", {})
        self.trouble = found

    def is_well(self) -> None:
        """Records that it was just proven."""
        self.saw("")
