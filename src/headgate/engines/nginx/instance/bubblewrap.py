"""Builds the tree that a confined command sees under bubblewrap: the real one, read-only.

The folders that it writes in are empty ones in memory, with the real ones' content bound into them.
This module only looks at folders; `sandbox.py` runs the command.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from headgate.engines.nginx.instance.needs import Needs

_PROGRAM: Final = "bwrap"
_CAPABILITIES: Final = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETPCAP",
)
"""The capabilities of `confined_fence.KEPT`, and the one for giving up the rest: bubblewrap leaves
a root's bounding set as it is."""

_MOST_CHILDREN: Final = 2000


def found() -> str | None:
    """Returns the path of bubblewrap; None without one."""
    return shutil.which(_PROGRAM, path=f"{os.environ.get('PATH', '')}:{os.defpath}:/usr/bin")


def arguments(program: str, needs: Needs, hosts_fd: int | None) -> list[str]:
    """Returns the command line up to the command. `hosts_fd`: what /etc/hosts holds inside."""
    words = [program, "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    words += ["--cap-drop", "ALL"]
    for name in _CAPABILITIES:
        words += ["--cap-add", name]
    if not needs.writes:
        words.append("--unshare-net")  # a question about the binary, not about this host
    words += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    own = {os.path.realpath(path) for path in needs.writes if Path(path).is_dir()}
    files = {_real(path) for path in needs.writes if not Path(path).is_dir()}
    above = {str(Path(path).parent) for path in files} - own
    for folder in sorted(own | {path for path in above if Path(path).is_dir()}):
        words += ["--tmpfs", folder]
        if folder not in own:
            words += _bound(folder, files)
    if hosts_fd is not None and Path("/etc/hosts").exists():
        words += ["--ro-bind-data", str(hosts_fd), "/etc/hosts"]
    return [*words, "--chdir", "/", "--"]


def _bound(folder: str, files: set[str]) -> Iterator[str]:
    """Yields the read-only binds of a folder's content without the files that nginx makes anew.

    Sockets and pipes are left out, too: they lead to processes outside.
    """
    with os.scandir(folder) as entries:
        children = sorted(entries, key=lambda one: one.name)[:_MOST_CHILDREN]
    for child in children:
        if child.path in files:
            continue
        if child.is_symlink():
            yield from ("--symlink", str(Path(child.path).readlink()), child.path)
        elif child.is_dir() or stat.S_ISREG(child.stat().st_mode):
            yield from ("--ro-bind", child.path, child.path)


def _real(path: str) -> str:
    """Returns a path without links in its folders; the file itself may be a link or missing."""
    return f"{os.path.realpath(Path(path).parent)}/{Path(path).name}"
