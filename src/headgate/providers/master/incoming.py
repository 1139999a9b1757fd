"""Keeps blobs on disk while they come from a master, so that a broken connection loses nothing."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from headgate.fleet.manifest import Entry, address, is_address


class Incoming:
    """The blobs of the manifest that is fetched, whole or in part. Not for several threads."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made (0700) when the first bytes come."""
        self._folder = folder

    def missing(
        self, entries: Iterable[Entry], known: Mapping[str, bytes]
    ) -> list[tuple[str, int]]:
        """Returns what is to be fetched, each with the offset to fetch it from.

        Removes what no entry names any more, and what is not what its name says.
        """
        wanted = {entry.sha256: entry.size for entry in entries if entry.sha256 not in known}
        for path in self._paths():
            if path.name not in wanted:
                path.unlink(missing_ok=True)
        found = []
        for sha256, size in wanted.items():
            offset = self._held(sha256, size)
            if offset < size or not self._path(sha256).exists():
                found.append((sha256, offset))
        return found

    def write(self, sha256: str, offset: int, total: int, data: bytes) -> bool | None:
        """Adds bytes; returns None while some are missing, else whether the blob is the right one.

        A wrong one is removed. Raises OSError.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path(sha256), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - from a descriptor with its mode
            file.truncate(offset)
            file.seek(offset)
            file.write(data)
        if offset + len(data) < total:
            return None
        is_good = address(self._path(sha256).read_bytes()) == sha256
        if not is_good:
            self._path(sha256).unlink()
        return is_good

    def content(self, entries: Iterable[Entry]) -> dict[str, bytes]:
        """Returns the blobs of these entries that are here, by sha256."""
        names = {entry.sha256 for entry in entries}
        return {path.name: path.read_bytes() for path in self._paths() if path.name in names}

    def clear(self) -> None:
        """Removes everything."""
        for path in self._paths():
            path.unlink(missing_ok=True)

    def _held(self, sha256: str, size: int) -> int:
        """Returns how much of a blob is here; a wrong one is removed."""
        path = self._path(sha256)
        try:
            held = path.stat().st_size
        except FileNotFoundError:
            return 0
        if held < size or (held == size and address(path.read_bytes()) == sha256):
            return held
        path.unlink()
        return 0

    def _path(self, sha256: str) -> Path:
        if not is_address(sha256):
            raise ValueError(f"{sha256!r} is not a content address")
        return self._folder / sha256

    def _paths(self) -> list[Path]:
        return list(self._folder.iterdir()) if self._folder.is_dir() else []
