"""Remembers over restarts which revision this node refused for good."""

from pathlib import Path
from typing import Final

import msgspec

from headgate.fleet.frames import Version
from headgate.providers.master.store import write_private

_FILE: Final = "refused.json"


class _Refused(msgspec.Struct):
    scope: str
    revision: int
    hash: str


class Remembered:
    """One revision of one scope, on disk."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._known: tuple[str, Version | None] | None = None

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
