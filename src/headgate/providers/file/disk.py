"""`Files` on the disk."""

from collections.abc import Sequence
from pathlib import Path, PurePath


class DiskFiles:
    """Files of this machine; relative paths are relative to the working directory."""

    def read(self, path: PurePath) -> bytes:
        """The whole content; raises `OSError`."""
        return Path(path).read_bytes()

    def glob(self, pattern: PurePath) -> Sequence[PurePath]:
        """Existing files that match, sorted; wildcards count in the last part only."""
        parent = Path(pattern.parent)
        return sorted(PurePath(p) for p in parent.glob(pattern.name) if not p.is_dir())

    def is_directory(self, path: PurePath) -> bool:
        """Whether it is a directory."""
        return Path(path).is_dir()
