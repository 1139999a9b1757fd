"""Brings the endpoints of a running nginx to a table without a reload, and proves it."""

from dataclasses import dataclass
from pathlib import Path

from headgate.engines.nginx.endpoints import socket
from headgate.engines.nginx.endpoints.kept import Kept, KeptFile
from headgate.engines.nginx.endpoints.socket import NotPushedError
from headgate.engines.nginx.endpoints.table import Table
from headgate.engines.nginx.releases.links import read_link
from headgate.engines.nginx.releases.lock import locked


@dataclass(slots=True)
class Figures:
    """The figures that metrics and status show of changes without a reload since the start."""

    applied: int = 0
    failed: int = 0
    last_error: str = ""


class LiveEndpoints:
    """The endpoints of one nginx. Everything blocks."""

    def __init__(self, root: Path, status_socket: str) -> None:
        """`root`: the folder of its releases."""
        self.figures = Figures()
        self._root = root
        self._file = KeptFile(root)
        self._socket = status_socket

    def differs(self, wanted: Table) -> bool:
        """Reports whether nginx, or the file that it begins with, has other endpoints.

        True as well without an answer from nginx. Raises OSError.
        """
        if not wanted:
            return False
        try:
            return bool(self._changes(wanted)) or not _holds(self._file.read(), wanted)
        except NotPushedError:
            return True

    def push(self, wanted: Table) -> None:
        """Gives nginx these endpoints, proven by reading them back.

        From then on every generation begins with them. Raises NotPushedError; BusyError during an
        apply, and OSError: nothing has changed then.
        """
        with locked(self._root):
            kept = self._file.read()
            needed = self._file.needed()
            rest = {name: kept.table[name] for name in kept.table if name in needed}
            self._file.write(Kept(kept.key, {**rest, **wanted}))
            try:
                changes = self._changes(wanted)
                socket.write(self._socket, changes, kept.key)
                if left := self._changes(wanted):
                    raise NotPushedError(f"nginx has other endpoints still: {', '.join(left)}")
            except NotPushedError as error:
                self.figures.failed += 1
                self.figures.last_error = str(error)
                self._file.write(kept)
                raise
        if changes:  # else a reload would have read them
            self.figures.applied += 1
            self.figures.last_error = ""

    def ensure(self, served: Table) -> None:
        """Writes, before a start, what was served if the file lost it. Raises OSError."""
        kept = self._file.read()
        if any(name not in kept.table for name in served):
            table = {**served, **kept.table}
            self._file.write(Kept(kept.key, table, kept.pending, kept.coming))

    def keep(self, wanted: Table, generation: int) -> None:
        """Makes this generation alone begin with these endpoints. Raises OSError."""
        if wanted:
            kept = self._settled()
            self._file.write(Kept(kept.key, kept.table, generation, wanted))

    def take_back(self, wanted: Table) -> None:
        """Undoes `keep`, also in nginx if that has read it. Raises OSError."""
        if not wanted:
            return
        kept = self._settled()
        self._file.write(kept)
        old = {name: kept.table[name] for name in wanted if name in kept.table}
        try:
            socket.write(self._socket, self._changes(old), kept.key)
        except NotPushedError as error:
            self.figures.last_error = str(error)

    def _settled(self) -> Kept:
        """Returns the kept table without pending changes, except those of the current release."""
        kept = self._file.read()
        current = read_link(self._root, "current")
        is_current = current is not None and current.generation == kept.pending
        return Kept(kept.key, {**kept.table, **kept.coming} if is_current else kept.table)

    def _changes(self, wanted: Table) -> Table:
        has = socket.read(self._socket)
        return {name: lines for name, lines in wanted.items() if has.get(name) != lines}


def _holds(kept: Kept, wanted: Table) -> bool:
    """Reports whether every generation would begin with these."""
    return not kept.pending and all(kept.table.get(name) == lines for name, lines in wanted.items())
