"""Keeps key sets on disk: the last good text of each, and when it was fetched."""

import contextlib
import threading
import time
from collections.abc import Collection
from itertools import count
from pathlib import Path
from typing import Final

from headgate.kernel.files import replace_file
from headgate.kernel.ids import BlobId
from headgate.plan.digest import blob_id

FOLDER: Final = "key-sets"
"""In the state directory."""

_SET: Final = ".json"
_WHEN: Final = ".fetched"
_KEPT_S: Final = 86_400.0


class KeySetStore:
    """A folder with `ID.json`, the text, and `ID.fetched`, Unix seconds as text.

    Threads may put sets at once, and one that hangs may do it long after; the others must not.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turns = count()
        self._latest: dict[str, int] = {}
        """The turn of the fetch that brought each set."""
        self._writing = threading.Lock()
        self._digests: dict[str, BlobId | None] = {}

    def fetched_at(self, id_: str) -> float | None:
        """Returns when a set was last fetched, Unix seconds; None if there is none."""
        try:
            written_at = (self._folder / f"{id_}{_SET}").stat().st_mtime
        except OSError:
            return None
        try:
            return float((self._folder / f"{id_}{_WHEN}").read_text())
        except (OSError, ValueError):
            return written_at

    def digest(self, id_: str) -> BlobId | None:
        """Returns the digest of the set that is there now; None if there is none.

        Reads a file at the first question about a set.
        """
        if id_ not in self._digests:
            self._digests[id_] = self._read(id_)
        return self._digests[id_]

    def turn(self) -> int:
        """Returns the place in time of a fetch that begins."""
        return next(self._turns)

    def put(self, id_: str, text: str, at: float, turn: int) -> bool:
        """Keeps a set that was fetched at this time; False if a later fetch already brought one.

        Raises OSError; then `digest` says whether the set is there nevertheless.
        """
        content = text.encode()
        with self._writing:
            if turn < self._latest.get(id_, turn):
                return False
            self._folder.mkdir(mode=0o700, exist_ok=True)
            try:
                if self._read(id_) != blob_id(content):
                    replace_file(self._folder / f"{id_}{_SET}", content)
                self._latest[id_] = turn
            finally:
                self._digests[id_] = self._read(id_)
            replace_file(self._folder / f"{id_}{_WHEN}", str(at).encode())
        return True

    def drop(self, id_: str) -> None:
        """Removes a set; raises OSError."""
        try:
            for end in (_SET, _WHEN):
                (self._folder / f"{id_}{end}").unlink(missing_ok=True)
        finally:
            self._digests[id_] = self._read(id_)

    def forget_others(self, wanted: Collection[str]) -> None:
        """Removes sets that nobody wants and that were not fetched for a day."""
        with contextlib.suppress(OSError):
            for path in self._folder.glob(f"*{_WHEN}"):
                if path.stem not in wanted and time.time() - path.stat().st_mtime > _KEPT_S:
                    path.with_suffix(_SET).unlink(missing_ok=True)
                    path.unlink()
                    self._digests.pop(path.stem, None)

    def _read(self, id_: str) -> BlobId | None:
        try:
            return blob_id((self._folder / f"{id_}{_SET}").read_bytes())
        except OSError:
            return None
