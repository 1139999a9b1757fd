"""Writes durably: after a crash a file or tree is there as a whole, or not at all."""

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from headgate.engines.nginx.releases.links import sync_folder

FOLDER_MODE = 0o550
_WRITABLE_FOLDER = 0o750
_FEW = 32
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class NoSpaceError(Exception):
    """The disk or a quota is full; everything from before is untouched."""


def out_of_space(error: OSError, folder: Path, need: int) -> Exception:
    """Returns what to raise for an error while writing:
    a `NoSpaceError` in words, or the error itself.
    """
    if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return error
    what = "the quota is used up" if error.errno == errno.EDQUOT else "no space left"
    with contextlib.suppress(OSError):
        about = os.statvfs(folder)
        free = about.f_bavail * about.f_frsize
        return NoSpaceError(
            f"{what} at {folder}: {need} bytes to be written, {free} bytes and"
            f" {about.f_favail} inodes free; nothing was changed"
        )
    return NoSpaceError(f"{what} at {folder}: {need} bytes to be written; nothing was changed")


def write_file(path: Path | str, content: bytes, mode: int, group: int | None = None) -> None:
    """Writes a new file with exactly this mode; does not sync it."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(fd, rest) :]
        if group is not None:
            os.fchown(fd, -1, group)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def make_folders(root: Path, paths: Iterable[str]) -> None:
    """Makes a folder and those that files at these relative paths need;
    `seal` closes them later.
    """
    for folder in sorted({"", *(path.rpartition("/")[0] for path in paths)}):
        (root / folder).mkdir(mode=_WRITABLE_FOLDER, parents=True, exist_ok=True)


def sync_tree(root: Path) -> None:
    """Makes everything below a folder durable."""
    found = list(os.walk(root))
    files = [f"{folder}/{name}" for folder, _, names in found for name in names]
    if len(files) > _FEW and _sync_file_system(root):
        return
    for path in files:
        sync_file(path)
    for folder, _, _ in found:
        sync_folder(Path(folder))


def sync_file(path: Path | str) -> None:
    """Makes the content of a file durable."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def seal(root: Path, group: int | None = None) -> None:
    """Makes the folders of a tree read-only, and readable for a group."""
    for folder in _folders(root):
        if group is not None:
            os.chown(folder, -1, group)
        folder.chmod(FOLDER_MODE)


def remove_tree(root: Path) -> None:
    """Removes a tree, read-only folders included; does nothing if it is missing."""
    for folder in _folders(root):
        with contextlib.suppress(FileNotFoundError):
            folder.chmod(0o700)
    shutil.rmtree(root, ignore_errors=False) if root.exists() else None


def exchange(fresh: Path, target: Path) -> Path:
    """Puts a fresh tree in the place of another; returns where that is now.

    One step by renameat2(2) with RENAME_EXCHANGE; where the kernel or the file system has none
    (ENOSYS, EINVAL), two renames: a crash between them leaves the place empty. Raises OSError.
    """
    try:
        _exchange(fresh, target)
    except OSError as error:
        if error.errno not in {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}:
            raise
        aside = fresh.with_name(f"{fresh.name}.replaced")
        target.rename(aside)
        fresh.rename(target)
        return aside
    return fresh


def _exchange(one: Path, other: Path) -> None:
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError as error:
        raise OSError(errno.ENOSYS, "the C library has no renameat2") from error
    done = rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))


def _folders(root: Path) -> list[Path]:
    """Returns the folders of a tree, the root first; empty if it is missing."""
    return [Path(folder) for folder, _, _ in os.walk(root)]


def _sync_file_system(folder: Path) -> bool:
    """Syncs all files and folders of the file system of a folder (syncfs(2)).

    A thousand calls of fsync(2) are as many commits of the file system's journal, seconds in all;
    this is one. Returns False where it could not.
    """
    sync = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if sync is None:
        return False
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if sync(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(fd)
    return True
