"""Keeps pristine copies of releases, each in one file, so
that a thousand contents take one write.

They are copies and not hard links: an editor that writes in place would change a linked copy with
the release. A copy is the manifest on a line of its own, then the contents in the manifest's order.
"""

import contextlib
import hashlib
from collections.abc import Mapping, Set
from pathlib import Path

from headgate.engines.nginx.releases import disk, manifest
from headgate.engines.nginx.releases.links import sync_folder
from headgate.engines.nginx.releases.manifest import Manifest

_MODE = 0o400


class DamagedObjectError(Exception):
    """A pristine copy is missing or damaged; the release cannot be restored."""


class Objects:
    """The copies in one folder that only we use, each a file with the name of its release."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, about: Manifest, contents: Mapping[str, bytes]) -> None:
        """Keeps the contents (by path) of a manifest's files, durably. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._folder / f".{name}"
        partial.unlink(missing_ok=True)
        parts = [manifest.line(about), *(contents[entry.path] for entry in about.files)]
        try:
            disk.write_file(partial, b"".join(parts), _MODE)
            disk.sync_file(partial)
            partial.rename(self._folder / name)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        sync_folder(self._folder)

    def manifest(self, name: str) -> Manifest:
        """Returns the manifest kept under a name;
        raises OSError, or ValueError when it is damaged.
        """
        with (self._folder / name).open("rb") as file:
            return manifest.decode(file.readline())

    def read(self, name: str, about: Manifest) -> dict[str, bytes]:
        """Returns the contents by path; raises DamagedObjectError unless they are unchanged."""
        contents: dict[str, bytes] = {}
        try:
            with (self._folder / name).open("rb") as file:
                file.readline()
                for entry in about.files:
                    contents[entry.path] = file.read(entry.size)
        except OSError as error:
            raise DamagedObjectError(f"pristine copy of {name}: {error.strerror}") from error
        for entry in about.files:
            if hashlib.sha256(contents[entry.path]).hexdigest() != entry.sha256:
                raise DamagedObjectError(f"pristine copy of {name}: {entry.path} is damaged")
        return contents

    def keep_only(self, names: Set[str]) -> None:
        """Removes all others, and what an interrupted `add` left."""
        with contextlib.suppress(FileNotFoundError):
            for path in list(self._folder.iterdir()):
                if path.name not in names:
                    path.unlink(missing_ok=True)
