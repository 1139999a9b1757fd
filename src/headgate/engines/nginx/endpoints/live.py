"""Brings the endpoints of a running nginx to a table without a reload, and proves it."""

from dataclasses import dataclass
from pathlib import Path

from headgate.engines.nginx.apply.lock import locked
from headgate.engines.nginx.endpoints import socket
from headgate.engines.nginx.endpoints.kept import Kept, KeptFile
from headgate.engines.nginx.endpoints.socket import NotPushedError
from headgate.engines.nginx.endpoints.table import Table


@dataclass(slots=True)
class Figures:
    """What metrics and status show of changes without a reload, since the start."""

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
        """Whether nginx, or the file that it begins with, has other endpoints.

        True as well where nginx does not tell. Raises OSError.
        """
        if not wanted:
            return False
        try:
            return bool(self._changes(wanted)) or not _holds(self._file.read(), wanted)
        except NotPushedError:
            return True

    def push(self, wanted: Table) -> None:
        """Has nginx go by these endpoints, proven by reading them back.

        Raises NotPushedError: the file then has them, and the next reload reads it. Raises
        BusyError while somebody applies, and OSError: nothing was changed then.
        """
        with locked(self._root):
            kept = self._file.read()
            needed = self._file.needed()
            rest = {name: kept.table[name] for name in kept.table if name in needed}
            self._file.write(Kept(kept.key, {**rest, **wanted}))
            try:
                socket.write(self._socket, self._changes(wanted), kept.key)
                if left := self._changes(wanted):
                    raise NotPushedError(f"nginx has other endpoints still: {', '.join(left)}")
            except NotPushedError as error:
                self.figures.failed += 1
                self.figures.last_error = str(error)
                raise
        self.figures.applied += 1
        self.figures.last_error = ""

    def kept(self) -> Table:
        """What nginx would begin with. Raises OSError."""
        return self._file.read().table

    def keep(self, wanted: Table) -> None:
        """Has the next start or reload begin with these endpoints. Raises OSError."""
        kept = self._file.read()
        if not _holds(kept, wanted):
            self._file.write(Kept(kept.key, {**kept.table, **wanted}))

    def put_back(self, wanted: Table, before: Table) -> None:
        """Takes back what `keep` did, also in nginx as far as that has read it. Raises OSError."""
        old = {name: before[name] for name in wanted if name in before}
        if not old:
            return
        self.keep(old)
        try:
            socket.write(self._socket, self._changes(old), self._file.read().key)
        except NotPushedError as error:
            self.figures.last_error = str(error)

    def _changes(self, wanted: Table) -> Table:
        has = socket.read(self._socket)
        return {name: lines for name, lines in wanted.items() if has.get(name) != lines}


def _holds(kept: Kept, wanted: Table) -> bool:
    return all(kept.table.get(name) == lines for name, lines in wanted.items())
