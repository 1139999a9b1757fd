"""Keeps key sets on disk: the last good text of each, and when it was fetched."""

import contextlib
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

from headgate.kernel.files import replace_file

FOLDER: Final = "key-sets"
"""In the state directory."""

_SET: Final = ".json"
_WHEN: Final = ".fetched"
_KEPT_S: Final = 86_400.0


class KeySetStore:
    """A folder with `ID.json`, the text, and `ID.fetched`, Unix seconds as text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetched_at(self, id_: str) -> float | None:
        """Returns when a set was last fetched, Unix seconds; None if there is none."""
        try:
            if not (self._folder / f"{id_}{_SET}").is_file():
                return None
            return float((self._folder / f"{id_}{_WHEN}").read_text())
        except (OSError, ValueError):
            return None

    def put(self, id_: str, text: str, at: float) -> bool:
        """Keeps a set that was fetched at this time; reports whether it is another than before.

        Raises OSError.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{id_}{_SET}"
        is_new = _content(path) != text.encode()
        if is_new:
            replace_file(path, text.encode())
        replace_file(self._folder / f"{id_}{_WHEN}", str(at).encode())
        return is_new

    def drop(self, id_: str) -> None:
        """Removes a set; raises OSError."""
        for end in (_SET, _WHEN):
            (self._folder / f"{id_}{end}").unlink(missing_ok=True)

    def forget_others(self, wanted: Collection[str]) -> None:
        """Removes sets that nobody wants and that were not fetched for a day."""
        with contextlib.suppress(OSError):
            for path in self._folder.glob(f"*{_WHEN}"):
                if path.stem not in wanted and time.time() - path.stat().st_mtime > _KEPT_S:
                    path.with_suffix(_SET).unlink(missing_ok=True)
                    path.unlink()


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
