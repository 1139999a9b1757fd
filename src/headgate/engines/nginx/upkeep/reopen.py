"""Opens a status socket again that somebody removed while nginx runs.

nginx keeps a listener that its next config still has, and so never makes the socket's file again.
A reload with the status server at another socket closes it, a second one opens it anew; traffic
goes on. The server itself stays: it sets the variables that no location has to set.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.drive.engine import NginxEngine
from headgate.engines.nginx.releases.links import point_at
from headgate.engines.nginx.releases.lock import locked

_FOLDER: Final = "reopening"
_STATUS: Final = "status.conf"
_OTHER: Final = "new.sock"
_DEADLINE_S: Final = 20.0
_LOOK_S: Final = 0.05


class NotReopenedError(Exception):
    """The socket could not be made again; says why."""


def reopen(engine: NginxEngine) -> None:
    """Makes the running nginx open its status socket anew;
    it serves the proven release throughout.

    Raises NotReopenedError, BusyError during an apply, RightMissingError, OSError.
    """
    with locked(engine.root):
        name = engine.store.linked("known_good")
        if name is None or engine.store.linked("current") != name or not engine.store.has(name):
            raise NotReopenedError("the release that was proven last is not the current one")
        path = Path(engine.setup.here.settings.status_socket)
        other = path.with_name(_OTHER)
        scratch = engine.root / _FOLDER
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            shutil.copytree(engine.store.release(name).path, scratch, symlinks=True)
            (scratch / _STATUS).chmod(0o640)
            text = (scratch / _STATUS).read_text()
            (scratch / _STATUS).write_text(text.replace(f"unix:{path}", f"unix:{other}"))
            before = _live(engine)
            point_at(engine.root, "current", _FOLDER)
            engine.instance.signal("HUP")
            _until(lambda: bool(_live(engine)) and not before & _live(engine), "new workers")
        finally:
            engine.store.link("current", name)
            engine.instance.signal("HUP")
            shutil.rmtree(scratch, ignore_errors=True)
        _until(lambda: engine.running() == name.generation, "an answer on the status socket")
        other.unlink(missing_ok=True)


def _live(engine: NginxEngine) -> frozenset[Process]:
    return frozenset(one for one in engine.instance.workers() if not one.shutting_down)


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not holds():
        if time.monotonic() > deadline:
            raise NotReopenedError(f"{what} did not come in {_DEADLINE_S:g} s")
        time.sleep(_LOOK_S)
