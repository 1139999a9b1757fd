"""Keeps bundles in the state directory: the last good one, and those that were good before it.

A file is there as a whole or not at all, and names never lie: a bundle is `staged` until it was
served, and then gets the next number. What cannot be verified is skipped with its reason and never
used. Keys may be in a bundle, so only the node's user may read one.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from headgate.kernel.files import replace_file, sync_folder
from headgate.providers.master.bundle import (
    Bundle,
    DamagedBundleError,
    Verify,
    assembled,
    packed,
    unpacked,
)

KEPT: Final = 3
"""The number of good bundles before the last one that are kept."""
_GOOD: Final = re.compile(r"(\d{8})-r\d+\.tar")
_STAGED: Final = "staged.tar"


class BundleStore:
    """The bundles of one node's scope. Not for several threads at once."""

    def __init__(self, folder: Path, verify: Verify) -> None:
        """`folder` is made (0700) when the first bundle comes."""
        self.folder = folder
        self._verify = verify
        self.skipped: dict[str, str] = {}
        """Files that could not be used when they were read last, and why."""

    def last_good(self) -> Bundle | None:
        """Returns the newest good bundle that can be verified; None without one.

        Reads and hashes it each time.
        """
        return next(self.good(), None)

    def good(self) -> Iterator[Bundle]:
        """Yields the good bundles that can be verified, the newest first."""
        for path in reversed(self._good_paths()):
            bundle = self._read(path)
            if bundle is not None:
                yield bundle

    def revisions(self) -> list[int]:
        """Returns the revisions of the good bundles, the newest first, as their names say."""
        names = (path.name for path in reversed(self._good_paths()))
        return [int(name[10:].removesuffix(".tar")) for name in names]

    def content(self) -> Mapping[str, bytes]:
        """Returns, by sha256, everything that the bundles here hold: it need not be fetched."""
        found: dict[str, bytes] = {}
        for bundle in self.good():
            found.update(bundle.content)
        return found

    def stage(self, raw: bytes, signature: bytes, content: Mapping[str, bytes]) -> Bundle:
        """Writes a bundle that is to be served; a bundle staged before is replaced.

        Returns when it is on disk. Raises DamagedBundleError for what the master did not sign, and
        OSError.
        """
        bundle = assembled(raw, signature, content, self._verify)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self.folder / _STAGED, packed(bundle))
        return bundle

    def promote(self, bundle: Bundle) -> None:
        """Makes the staged bundle the last good one, and removes those that are too old.

        The bundle that is the last good one already stays so. Raises OSError.
        """
        staged = self.folder / _STAGED
        last = self.last_good()
        if last is not None and last.hash == bundle.hash:
            staged.unlink(missing_ok=True)
            return
        if not staged.exists():
            replace_file(staged, packed(bundle))
        paths = self._good_paths()
        number = int(paths[-1].name[:8]) + 1 if paths else 1
        staged.rename(self.folder / f"{number:08d}-r{bundle.revision}.tar")
        sync_folder(self.folder)
        self._prune()

    def discard(self) -> None:
        """Removes the staged bundle, if there is one."""
        (self.folder / _STAGED).unlink(missing_ok=True)

    def _prune(self) -> None:
        """Removes the oldest ones; those that cannot be read do not count as kept."""
        kept = 0
        for path in reversed(self._good_paths()):
            if kept > KEPT:
                path.unlink(missing_ok=True)
            elif self._read(path) is not None:
                kept += 1

    def _good_paths(self) -> list[Path]:
        try:
            found = [path for path in self.folder.iterdir() if _GOOD.fullmatch(path.name)]
        except FileNotFoundError:
            return []
        return sorted(found)

    def _read(self, path: Path) -> Bundle | None:
        try:
            bundle = unpacked(path.read_bytes(), self._verify)
        except DamagedBundleError as wrong:
            self.skipped[path.name] = str(wrong)
            return None
        except OSError as wrong:
            self.skipped[path.name] = (wrong.strerror or type(wrong).__name__).lower()
            return None
        self.skipped.pop(path.name, None)
        return bundle


def write_private(path: Path, data: bytes) -> None:
    """Writes a file of mode 0600, whole or not at all, durable on return; makes its folder (0700).

    Raises OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, data)
