"""Pristine copies of what releases were written from, by sha256.

They are copies and not hard links: an editor that writes in place would change a linked object
with the release. Where the file system can share blocks (btrfs, XFS), copying back does.
"""

import contextlib
import hashlib
from collections.abc import Mapping, Set
from pathlib import Path

from headgate.engines.nginx.releases import disk
from headgate.engines.nginx.releases.links import sync_folder

_MODE = 0o400


class DamagedObjectError(Exception):
    """A pristine copy is gone or is not what it was; the release cannot be restored."""


class Objects:
    """Content by its digest, in one folder that only we use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, contents: Mapping[str, bytes]) -> None:
        """Keeps contents by their sha256 (hex), or another name, durably. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh: list[tuple[Path, Path]] = []
        try:
            for digest, content in contents.items():
                path = self._folder / digest
                if path.exists() and path.stat().st_size == len(content):
                    continue
                partial = self._folder / f".{digest}"
                partial.unlink(missing_ok=True)
                fresh.append((partial, path))
                disk.write_file(partial, content, _MODE)
            disk.sync_files([partial for partial, _ in fresh])
            for partial, path in fresh:
                partial.rename(path)
        except OSError:
            for partial, _ in fresh:
                with contextlib.suppress(OSError):
                    partial.unlink(missing_ok=True)
            raise
        if fresh:
            sync_folder(self._folder)

    def read(self, digest: str) -> bytes:
        """Content by its digest; raises DamagedObjectError when it cannot be had unchanged."""
        try:
            content = (self._folder / digest).read_bytes()
        except OSError as error:
            raise DamagedObjectError(f"object {digest[:12]}: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise DamagedObjectError(f"object {digest[:12]} is damaged")
        return content

    def read_named(self, name: str) -> bytes:
        """What was kept under a name that is no digest; raises OSError."""
        return (self._folder / name).read_bytes()

    def keep_only(self, names: Set[str]) -> int:
        """Removes all others; how many. Files of an interrupted `add` go too."""
        removed = 0
        with contextlib.suppress(FileNotFoundError):
            for path in list(self._folder.iterdir()):
                if path.name not in names:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed
