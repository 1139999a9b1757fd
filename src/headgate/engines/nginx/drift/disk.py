"""Looks at the files of a `Desired`; reads only."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from headgate.engines.nginx.drift.finding import Desired, Mark, OnDisk
from headgate.engines.nginx.releases.manifest import READ_ONLY
from headgate.engines.nginx.releases.names import MANIFEST, RELEASES, ReleaseName
from headgate.engines.nginx.releases.store import Store

_PERMISSIONS = 0o7777


class Folder(NamedTuple):
    """A folder by its path and identity."""

    path: Path
    device: int
    inode: int


class _Stamp(NamedTuple):
    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


def release_desired(store: Store, name: ReleaseName) -> Desired:
    """Returns how a release must look while it is `current`, from the store's pristine copies.

    Raises UnknownReleaseError or DamagedObjectError without them.
    """
    folder = f"{RELEASES}/{name}"
    files = {
        f"{folder}/{file.path}": Mark(
            hashlib.sha256(file.content).hexdigest(), file.mode & READ_ONLY
        )
        for file in store.read(name).files
    }
    # The manifest does not list itself; the store notices an edit of it.
    files[f"{folder}/{MANIFEST}"] = Mark(None)
    return Desired(name.generation, str(store.root), files, {"current": folder}, (folder,))


def baseline(paths: tuple[str, ...], folders: tuple[str, ...] = ()) -> Desired:
    """Returns how files look now, for a watched nginx; absolute paths, generation 0.

    New files in `folders` are drift; an unreadable file counts as missing.
    """
    found = Looks().look(Desired(0, "/", dict.fromkeys(paths, Mark(None)), {}, folders))
    return Desired(0, "/", {**found.files, **found.added}, found.links, folders)


@dataclass(slots=True)
class Looks:
    """Looks that hash only what seems to have changed since the look before."""

    _known: dict[str, tuple[_Stamp, str]] = field(default_factory=dict)

    def look(self, desired: Desired, *, thoroughly: bool = False) -> OnDisk:
        """Returns what is there now; with `thoroughly` it reads every file,
        whatever its times say.
        """
        if thoroughly:
            self._known.clear()
        root = Path(desired.root)
        files: dict[str, Mark] = {}
        links: dict[str, str] = {}
        for path in desired.files:
            self._add(root, path, files, links)
        for path in desired.links:
            self._add(root, path, {}, links)
        added: dict[str, Mark] = {}
        for path in _below(root, desired.folders):
            if path not in desired.files and path not in desired.links:
                self._add(root, path, added, links)
                if path in links:
                    added[path] = Mark(None)
        return OnDisk(files, links, added)

    def _add(self, root: Path, path: str, files: dict[str, Mark], links: dict[str, str]) -> None:
        full = root / path
        try:
            found = full.lstat()
            if stat.S_ISLNK(found.st_mode):
                links[path] = str(full.readlink())
            elif stat.S_ISREG(found.st_mode):
                digest = self._digest(full, found)
                files[path] = Mark(digest, stat.S_IMODE(found.st_mode) & _PERMISSIONS)
            else:
                files[path] = Mark(None, None)
        except OSError:
            return

    def _digest(self, path: Path, found: os.stat_result) -> str | None:
        """Returns the sha256 of a file, hashed again only
        when its stamp differs; None if unreadable.
        """
        stamp = _Stamp(
            found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        )
        known = self._known.get(str(path))
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None
        self._known[str(path)] = (stamp, digest)
        return digest


def folders_of(desired: Desired) -> frozenset[Path]:
    """Returns the folders in which something of a `Desired` may change;
    for a missing one, the nearest existing folder above it.
    """
    root = Path(desired.root)
    names = [*desired.files, *desired.links]
    parents = {(root / name).parent for name in names}
    parents |= {root / folder for folder in desired.folders}
    # The replacement of a whole folder shows in the one above it.
    parents |= {(root / folder).parent for folder in desired.folders}
    return frozenset(_existing(parent) for parent in parents)


def identified(paths: frozenset[Path]) -> frozenset[Folder]:
    """Returns the existing folders, each with its identity."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            about = path.stat()
            found.append(Folder(path, about.st_dev, about.st_ino))
    return frozenset(found)


def _below(root: Path, folders: tuple[str, ...]) -> Iterator[str]:
    for folder in folders:
        for at, _, names in os.walk(root / folder):
            for name in names:
                yield str(Path(at, name).relative_to(root)) if root != Path("/") else f"{at}/{name}"


def _existing(path: Path) -> Path:
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path
