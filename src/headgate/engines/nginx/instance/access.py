"""Decides whether a user may read a file, from owners and mode bits (path_resolution(7)).

It ignores POSIX ACLs and security modules.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from headgate.engines.nginx.instance.procfs import Rights

_LINKS: Final = 40
_READ: Final = 4
_SEARCH: Final = 1


def may_read(root: Path, path: str, who: Rights) -> bool:
    """Reports whether `who` may open the file for reading, every folder on the way included.

    `path` is absolute below `root`; links are followed as a process with that root would. False
    when the file is missing or we may not look ourselves.
    """
    return kept_by(root, path, who) is None


def kept_by(root: Path, path: str, who: Rights) -> str | None:
    """Returns what keeps `who` from reading a file, as `may_read` says: the path of a folder on the
    way or of the file itself, below `root`. None if nothing does.
    """
    try:
        *folders, last = _steps(root, path)
    except (OSError, ValueError):
        return path
    if who.uid == 0:
        return None
    closed = (at for at, found in folders if not _allows(found, who, _SEARCH))
    return next(closed, None if _allows(last[1], who, _READ) else last[0])


def _steps(root: Path, path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yields what lies on the way with its path, the file itself last, with the folders
    that links lead through.
    """
    pending = [part for part in path.split("/") if part not in {"", "."}][::-1]
    here: list[str] = []
    links = 0
    yield "/", root.stat()
    while pending:
        part = pending.pop()
        if part == "..":
            here = here[:-1]
            continue
        at = root.joinpath(*here, part)
        found = at.lstat()
        if not stat.S_ISLNK(found.st_mode):
            here.append(part)
            yield f"/{'/'.join(here)}", found
            continue
        links += 1
        if links > _LINKS:
            raise ValueError("too many links")
        target = str(at.readlink())
        here = [] if target.startswith("/") else here
        pending += [step for step in target.split("/") if step not in {"", "."}][::-1]


def _allows(found: os.stat_result, who: Rights, bit: int) -> bool:
    if found.st_uid == who.uid:
        return bool(found.st_mode >> 6 & bit)
    if found.st_gid == who.gid or found.st_gid in who.groups:
        return bool(found.st_mode >> 3 & bit)
    return bool(found.st_mode & bit)
