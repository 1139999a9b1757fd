"""Remembers over restarts which revision this node refused for good, and the newest session in
which its master bound an offer."""

from pathlib import Path
from typing import Final

import msgspec

from headgate.fleet.frames import Version
from headgate.providers.master.store import write_private

_FILE: Final = "refused.json"
_BOUND: Final = "bound.json"


class _Refused(msgspec.Struct):
    scope: str
    revision: int
    hash: str


class _Bound(msgspec.Struct):
    agent: str
    fence: int


class Remembered:
    """One revision of one scope and one fence of one agent, on disk."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._bound_path = folder / _BOUND
        self._known: tuple[str, Version | None] | None = None
        self._bound: tuple[str, int] | None = None

    def refused(self, scope: str) -> Version | None:
        """Returns the revision of this scope that was refused last; None without one."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_Refused)
        except (OSError, msgspec.MsgspecError):
            return None
        return Version(found.revision, found.hash) if found.scope == scope else None

    def remember(self, scope: str, refused: Version | None) -> None:
        """Writes it if it changed; a full disk costs only another try after a restart."""
        if self._known == (scope, refused):
            return
        try:
            if refused is None:
                self._path.unlink(missing_ok=True)
            else:
                content = msgspec.json.encode(_Refused(scope, refused.revision, refused.hash))
                write_private(self._path, content)
        except OSError:
            return
        self._known = (scope, refused)

    def bound(self, agent: str) -> int:
        """Returns the fence below which nothing counts for this agent; 0 without one."""
        try:
            found = msgspec.json.decode(self._bound_path.read_bytes(), type=_Bound)
        except (OSError, msgspec.MsgspecError):
            return 0
        return found.fence if found.agent == agent else 0

    def remember_bound(self, agent: str, fence: int) -> None:
        """Writes it if it changed; tries again with the next event while the disk is full."""
        if not fence or self._bound == (agent, fence):
            return
        try:
            write_private(self._bound_path, msgspec.json.encode(_Bound(agent, fence)))
        except OSError:
            return
        self._bound = (agent, fence)
