"""Stores releases: stages them whole, links, compares with manifests, restores and prunes them.

Layout under `root`: `releases/<generation>-<sha12>/`, the links `current`, `previous` and
`known_good`, `objects/` with pristine copies, `edited/` with what restoring replaced. It never
signals nginx and never decides what to link: `headgate.engines.nginx.apply` does.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile
from headgate.engines.nginx.releases import disk, links, manifest
from headgate.engines.nginx.releases.manifest import Manifest
from headgate.engines.nginx.releases.names import (
    CONF,
    LINKS,
    MANIFEST,
    RELEASES,
    LinkName,
    ReleaseName,
)
from headgate.engines.nginx.releases.objects import Objects

KEEP = 10
_KEEP_EDITED = 5
_STAGING = ".staging-"


class UnknownReleaseError(Exception):
    """There is no such release, or its manifest cannot be read."""


class UnsafePathError(ValueError):
    """The path of a rendered file leaves the release, or two files have the same path."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release on disk; `path` is its folder, absolute when the store's root is."""

    name: ReleaseName
    path: Path
    manifest: Manifest

    @property
    def conf(self) -> Path:
        """The file that nginx gets."""
        return self.path / CONF


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of a release from its manifest; `path` is relative to the release."""

    path: str
    how: Literal["edited", "missing", "added", "mode"]


class Store:
    """The releases of one nginx. One process at a time may change it (`apply.lock`)."""

    def __init__(
        self,
        root: Path,
        *,
        group: int | None = None,
        keep: int = KEEP,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`group`: the workers' group, which may read all but keys; None = our own.

        `keep` releases stay, and the linked ones besides.
        """
        self.root = root
        self._group = group
        self._keep = keep
        self._clock = clock
        self._objects = Objects(root / "objects")

    def stage(self, rendered: Rendered, generation: Generation, plan_digest: str = "") -> Release:
        """Writes a release, durably and read-only; does not change the links.

        A second stage of the same content gives the same release. Raises UnsafePathError,
        NoSpaceError (leaves nothing behind), or OSError.
        """
        check_paths(rendered.files)
        about = Manifest.of(rendered, generation, plan_digest, self._clock())
        name = ReleaseName.of(generation, about.digest)
        if links.is_whole(self.root, name) and not self.verify(name):
            return self.release(name)
        contents = {file.path: file.content for file in rendered.files}
        size = sum(map(len, contents.values()))
        try:
            self._objects.add(str(name), about, contents)
            self._write(name, about, contents)
        except OSError as error:
            raise disk.out_of_space(error, self.root, 2 * size) from error
        return Release(name, self.path(name), about)

    def path(self, name: ReleaseName) -> Path:
        """Returns a release's folder."""
        return self.root / RELEASES / str(name)

    def release(self, name: ReleaseName) -> Release:
        """Returns a release by its name; raises UnknownReleaseError."""
        path = self.path(name)
        try:
            about = manifest.decode((path / MANIFEST).read_bytes())
        except (OSError, ValueError) as error:
            raise UnknownReleaseError(
                f"release {name} has no readable manifest: {error}"
            ) from error
        if not about.is_consistent() or ReleaseName.of(about.generation, about.digest) != name:
            raise UnknownReleaseError(f"the manifest of release {name} was changed")
        return Release(name, path, about)

    def has(self, name: ReleaseName) -> bool:
        """Reports whether a release exists, or can be restored."""
        if self.path(name).is_dir():
            return True
        try:
            self._pristine_manifest(name)
        except UnknownReleaseError:
            return False
        return True

    def names(self) -> list[ReleaseName]:
        """Returns all releases, oldest generation first."""
        return links.release_names(self.root)

    def linked(self, link: LinkName) -> ReleaseName | None:
        """Returns the release that a link names; None without it."""
        return links.read_link(self.root, link)

    def link(self, link: LinkName, name: ReleaseName | None) -> None:
        """Points a link at a release, durably; None removes it. Raises OSError."""
        links.set_link(self.root, link, name)

    def link_previous(self, before: ReleaseName | None, now: ReleaseName) -> None:
        """Points `previous` at the release before another one: what people go back to.

        It stays where the two differ in endpoints alone. Raises OSError.
        """
        if before is None or before == now:
            return
        with contextlib.suppress(UnknownReleaseError):
            if self.release(before).manifest.is_same_config(self.release(now).manifest):
                return
        self.link("previous", before)

    def verify(self, name: ReleaseName) -> tuple[Difference, ...]:
        """Returns the differences from the manifest by path;
        raises UnknownReleaseError. Reads every file.
        """
        release = self.release(name)
        found: list[Difference] = []
        expected = {MANIFEST}
        for entry in release.manifest.files:
            expected.add(entry.path)
            path = release.path / entry.path
            try:
                mode = path.lstat().st_mode & 0o7777
                is_same = hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
            except OSError:
                found.append(Difference(entry.path, "missing"))
                continue
            if not is_same or path.is_symlink():
                found.append(Difference(entry.path, "edited"))
            elif mode != entry.mode:
                found.append(Difference(entry.path, "mode"))
        for folder, _, files in os.walk(release.path):
            for file in files:
                path = Path(folder, file).relative_to(release.path)
                if str(path) not in expected:
                    found.append(Difference(str(path), "added"))
        return tuple(sorted(found, key=lambda one: one.path))

    def restore(self, name: ReleaseName) -> Path | None:
        """Restores a release; returns where its edited tree went, None if there was none.

        It exchanges the folder in one step where the file system can. Raises UnknownReleaseError,
        DamagedObjectError, NoSpaceError or OSError.
        """
        with contextlib.suppress(UnknownReleaseError):
            if not self.verify(name):
                return None
        about = self._pristine_manifest(name)
        contents = self._objects.read(str(name), about)
        try:
            return self._write(name, about, contents)
        except OSError as error:
            size = sum(map(len, contents.values()))
            raise disk.out_of_space(error, self.root, size) from error

    def read(self, name: ReleaseName) -> Rendered:
        """Returns a release as it was rendered, from the pristine copies.

        Raises UnknownReleaseError or DamagedObjectError.
        """
        about = self._pristine_manifest(name)
        contents = self._objects.read(str(name), about)
        return Rendered(
            files=tuple(
                RenderedFile(one.path, contents[one.path], one.mode | 0o200) for one in about.files
            ),
            listeners=about.listeners,
            zones=about.zones,
            served_names=about.served_names,
        )

    def prune(self) -> list[ReleaseName]:
        """Removes all but the newest `keep` releases and the linked ones; returns which."""
        self.clean()
        names = self.names()
        linked = {name for link in LINKS if (name := self.linked(link)) is not None}
        kept = {*names[-self._keep :], *linked}
        gone = [name for name in names if name not in kept]
        for name in gone:
            doomed = self.root / RELEASES / f"{_STAGING}{name}"
            self.path(name).rename(doomed)
            disk.remove_tree(doomed)
        self._objects.keep_only(set(map(str, kept)))
        return gone

    def clean(self) -> None:
        """Removes what an interrupted `stage`, `restore` or `prune` left."""
        with contextlib.suppress(FileNotFoundError):
            for path in list((self.root / RELEASES).iterdir()):
                if path.name.startswith(_STAGING):
                    disk.remove_tree(path)

    def highest_generation(self) -> int:
        """Returns the highest generation among the releases; 0 without any."""
        return max((name.generation for name in self.names()), default=0)

    def _write(self, name: ReleaseName, about: Manifest, contents: dict[str, bytes]) -> Path | None:
        """Builds the tree beside and puts it in place; returns what it replaced."""
        target = self.path(name)
        staging = target.with_name(f"{_STAGING}{name}")
        disk.remove_tree(staging)
        try:
            disk.make_folders(staging, contents)
            for entry in about.files:
                path = f"{staging}/{entry.path}"
                disk.write_file(path, contents[entry.path], entry.mode, self._group)
            disk.write_file(
                staging / MANIFEST, manifest.encode(about), manifest.READ_ONLY, self._group
            )
            disk.sync_tree(staging)
            disk.seal(staging, self._group)
            edited = self._replace(staging, target)
        except OSError:
            with contextlib.suppress(OSError):
                disk.remove_tree(staging)
            raise
        links.sync_folder(target.parent)
        return edited

    def _replace(self, staging: Path, target: Path) -> Path | None:
        if not target.exists():
            staging.rename(target)
            return None
        replaced = disk.exchange(staging, target)
        replaced.chmod(0o700)  # or only root could move it
        folder = self.root / "edited"
        folder.mkdir(mode=0o700, exist_ok=True)
        edited = folder / f"{target.name}.{int(self._clock() * 1000)}"
        replaced.rename(edited)
        for old in sorted(folder.iterdir(), key=lambda path: path.name.rsplit(".", 1)[-1])[
            :-_KEEP_EDITED
        ]:
            disk.remove_tree(old)
        return edited

    def _pristine_manifest(self, name: ReleaseName) -> Manifest:
        try:
            about = self._objects.manifest(str(name))
        except (OSError, ValueError) as error:
            raise UnknownReleaseError(f"release {name} is not in the store: {error}") from error
        if not about.is_consistent() or ReleaseName.of(about.generation, about.digest) != name:
            raise UnknownReleaseError(f"the stored manifest of release {name} is damaged")
        return about


def check_paths(files: Collection[RenderedFile]) -> None:
    """Raises UnsafePathError unless every path is relative, plain, unique and inside."""
    seen: set[str] = set()
    for file in files:
        parts = file.path.split("/")
        if not all(parts) or {".", ".."} & set(parts) or "\0" in file.path:
            raise UnsafePathError(f"{file.path!r} is not a path inside a release")
        if file.path == MANIFEST or file.path in seen:
            raise UnsafePathError(f"{file.path!r} is taken already")
        seen.add(file.path)
    for path in seen:
        parent = path
        while parent := parent.rpartition("/")[0]:
            if parent in seen:
                raise UnsafePathError(f"{path!r} is below a file")
