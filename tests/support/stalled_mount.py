"""Runs a command beside a file system that never answers, in a mount namespace of its own.

    python stalled_mount.py FOLDER COMMAND...

The file system is a FUSE whose server is silent; it ends with the command, which holds it open.
"""

import ctypes
import os
import sys
from pathlib import Path

_NEW_NS, _NEW_USER = 0x00020000, 0x10000000
_PRIVATE, _REC = 1 << 18, 1 << 14
UNAVAILABLE = 200
"""The exit code where this machine does not let us mount it."""


def main() -> None:
    """Mounts it on the folder and becomes the command."""
    folder, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(_NEW_NS) != 0:
        _must(libc.unshare(_NEW_USER | _NEW_NS), "unshare")
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"0 {uid} 1"),
            ("gid_map", f"0 {gid} 1"),
        ):
            Path("/proc/self", name).write_text(text)
    _must(libc.mount(b"none", b"/", None, _PRIVATE | _REC, None), "mount /")
    try:
        server = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        _must(-1, f"/dev/fuse: {error}")
    os.set_inheritable(server, True)
    options = f"fd={server},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
    _must(libc.mount(b"stalled", folder.encode(), b"fuse.stalled", 0, options.encode()), "mount")
    os.execvp(command[0], command)  # noqa: S606 - a test's own command


def _must(code: int, what: str) -> None:
    if code != 0:
        sys.stderr.write(f"{what}: {os.strerror(ctypes.get_errno())}\n")
        sys.exit(UNAVAILABLE)


if __name__ == "__main__":
    main()
