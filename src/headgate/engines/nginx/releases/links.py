"""The links `current`, `previous` and `known_good`. Standard library only: the guard imports it.

A link is replaced by renaming a fresh symlink over it, so that whoever opens it meets the old or
the new release, never none (rename(2)).
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

from headgate.engines.nginx.releases.names import MANIFEST, RELEASES, ReleaseName

if TYPE_CHECKING:
    from pathlib import Path

    from headgate.engines.nginx.releases.names import LinkName


def sync_folder(path: Path) -> None:
    """Makes the names in a folder durable (fsync(2) on the folder)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_link(root: Path, link: LinkName) -> ReleaseName | None:
    """Returns the release that a link names, even a missing one; None without such a link."""
    try:
        target = (root / link).readlink()
    except OSError:
        return None
    return ReleaseName.parse(target.name)


def set_link(root: Path, link: LinkName, name: ReleaseName | None) -> None:
    """Points a link at a release, durably; None removes it. Idempotent.

    Raises OSError (ENOSPC among others) and leaves the link as it was.
    """
    if name is None:
        (root / link).unlink(missing_ok=True)
        sync_folder(root)
        return
    point_at(root, link, f"{RELEASES}/{name}")


def point_at(root: Path, link: LinkName, target: str) -> None:
    """Points a link at a path below `root`, as `set_link` does."""
    path = root / link
    fresh = root / f".{link}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    try:
        fresh.symlink_to(target)
        fresh.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    sync_folder(root)


def is_whole(root: Path, name: ReleaseName) -> bool:
    """Reports whether every file of a release is there; it does not compare contents."""
    folder = root / RELEASES / str(name)
    try:
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
        return all((folder / one["path"]).is_file() for one in files)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def release_names(root: Path) -> list[ReleaseName]:
    """Returns all releases on disk, oldest generation first; empty without the folder."""
    try:
        found = [path.name for path in (root / RELEASES).iterdir()]
    except FileNotFoundError:
        return []
    return sorted(name for text in found if (name := ReleaseName.parse(text)) is not None)
