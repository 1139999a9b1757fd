"""Removes Unix sockets that a killed nginx left behind. Standard library only (for the guard).

nginx removes them when it ends by itself; after SIGKILL the next start fails at `bind()`.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def remove_stale_sockets(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Removes sockets in these folders that nobody listens on; returns which."""
    removed = []
    for folder in folders:
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if stat.S_ISSOCK(path.lstat().st_mode) and _is_dead(path):
                    path.unlink()
                    removed.append(path)
    return tuple(removed)


def has_listener(folders: Iterable[Path]) -> bool:
    """Reports whether a process still listens on a socket in these folders."""
    for folder in folders:
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if stat.S_ISSOCK(path.lstat().st_mode) and not _is_dead(path):
                    return True
    return False


def _is_dead(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) == errno.ECONNREFUSED
