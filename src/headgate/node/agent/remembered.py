"""Remembers over restarts which revision this node refused for good and why, the newest session in
which its master bound an offer, and whether it signs orders to upgrade."""

from pathlib import Path
from typing import Final

import msgspec

from headgate.fleet.frames import Fault, Version
from headgate.providers.master.store import write_private

_FILE: Final = "refused.json"
_BOUND: Final = "bound.json"


class _Refused(msgspec.Struct):
    scope: str
    revision: int
    hash: str
    fault: Fault | None = None


class _Bound(msgspec.Struct):
    agent: str
    fence: int
    upgrades: bool = False


class Remembered:
    """One revision of one scope and one fence of one agent, on disk."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._bound_path = folder / _BOUND
        self._known: tuple[str, Version | None, Fault | None] | None = None
        self._bound: _Bound | None = None

    def refused(self, scope: str) -> Version | None:
        """Returns the revision of this scope that was refused last; None without one."""
        found = self._read(scope)
        return None if found is None else Version(found.revision, found.hash)

    def refused_for(self, scope: str) -> Fault | None:
        """Returns why it was refused; None where that is not known."""
        found = self._read(scope)
        return None if found is None else found.fault

    def _read(self, scope: str) -> _Refused | None:
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_Refused)
        except (OSError, ValueError):
            return None
        return found if found.scope == scope else None

    def remember(self, scope: str, refused: Version | None, fault: Fault | None = None) -> None:
        """Writes it if it changed; a full disk costs only another try after a restart."""
        if self._known == (scope, refused, fault):
            return
        try:
            if refused is None:
                self._path.unlink(missing_ok=True)
            else:
                kept = _Refused(scope, refused.revision, refused.hash, fault)
                write_private(self._path, msgspec.json.encode(kept))
        except OSError:
            return
        self._known = (scope, refused, fault)

    def bound(self, agent: str) -> int:
        """Returns the fence below which nothing counts for this agent; 0 without one."""
        return self._read_bound(agent).fence

    def signs_upgrades(self, agent: str) -> bool:
        """Says whether the master has signed an order to upgrade for this agent."""
        return self._read_bound(agent).upgrades

    def _read_bound(self, agent: str) -> _Bound:
        try:
            found = msgspec.json.decode(self._bound_path.read_bytes(), type=_Bound)
        except (OSError, ValueError):
            return _Bound(agent, 0)
        return found if found.agent == agent else _Bound(agent, 0)

    def remember_bound(self, agent: str, fence: int, signs_upgrades: bool = False) -> None:
        """Writes it if it changed; tries again with the next event while the disk is full."""
        new = _Bound(agent, fence, signs_upgrades)
        if not (fence or signs_upgrades) or self._bound == new:
            return
        try:
            write_private(self._bound_path, msgspec.json.encode(new))
        except OSError:
            return
        self._bound = new
