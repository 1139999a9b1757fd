"""Names the files that a process has open, also those of another user's.

/proc shows them to CAP_SYS_PTRACE, or to a process of the same user with at least the same
capabilities (ptrace(2), PTRACE_MODE_READ_FSCREDS). nginx's workers have none, so that root looks at
them as their user instead: the user of file accesses belongs to one thread (setfsuid(2)).
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator

from headgate.engines.nginx.instance.procfs import Procfs

_libc = ctypes.CDLL(None)


def open_files(procfs: Procfs, pid: int) -> set[str]:
    """Returns the targets of its descriptors; empty if it is gone or we may not look."""
    folder = f"{procfs.path}/{pid}/fd"
    try:
        return _targets(folder)
    except PermissionError:
        pass
    except OSError:
        return set()
    user = procfs.rights(pid) if os.geteuid() == 0 else None
    if user is None or user.uid == 0:
        return set()
    with _looking_as(user.uid, user.gid), contextlib.suppress(OSError):
        return _targets(folder)
    return set()


def _targets(folder: str) -> set[str]:
    """Returns what the links lead to; raises OSError."""
    files = set()
    for name in os.listdir(folder):  # noqa: PTH208 - names, thousands of them
        with contextlib.suppress(FileNotFoundError):
            files.add(os.readlink(f"{folder}/{name}"))  # noqa: PTH115
    return files


@contextlib.contextmanager
def _looking_as(uid: int, gid: int) -> Iterator[None]:
    """Uses files as this user meanwhile, in this thread alone."""
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    try:
        yield
    finally:
        _libc.setfsuid(os.geteuid())
        _libc.setfsgid(os.getegid())
