"""One apply at a time: a lock on the folder of an nginx. Standard library only (for the guard)."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK = "apply.lock"


class BusyError(Exception):
    """Another process is applying to this nginx."""


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Holds the lock, which ends with the process. Raises BusyError at once, or OSError."""
    root.mkdir(mode=0o755, parents=True, exist_ok=True)
    fd = os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
            raise BusyError(f"process {holder} applies to {root} just now") from None
        os.ftruncate(fd, os.pwrite(fd, b"%d\n" % os.getpid(), 0))
        yield
    finally:
        os.close(fd)


def is_locked(root: Path) -> bool:
    """Reports whether a process applies now, without trying the lock, which could disturb it.

    It reads /proc/locks (proc(5)): device and inode of what flock(2) holds.
    """
    try:
        about = (root / LOCK).stat()
        held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return False
    device = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    return any(one[1:2] == ["FLOCK"] and one[5:6] == [device] for one in held)
