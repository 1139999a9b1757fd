"""Starts the two kinds of children, and finds the extension that the data plane loads."""

from __future__ import annotations

import os
import socket
import sys

# Loads the extension by file path: no site, no package of ours, no search path is involved.
BOOT = """\
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
path, fd = sys.argv[1:]
try:
    with open("/proc/self/comm", "w") as comm:
        comm.write("headgate-dp")  # what `ps` shows
except OSError:
    pass
loader = ExtensionFileLoader("_core", path)
core = loader.create_module(ModuleSpec("_core", loader, origin=path))
loader.exec_module(core)
sys.exit(core.run_data_plane(int(fd)))
"""
CHANNEL_FD = 3
ADMIN_FD = 3
LEASH_FD = 3
ADMIN_FD_NAME = "HEADGATE_ADMIN_FD"  # tells a control process that it has one

# Without it the first touch of a region takes a huge page (2 MB) of which little is used: 4 MB more
# of resident memory when idle, some 10 under load, and nothing gained by it. mimalloc then turns
# huge pages off for the whole process (PR_SET_THP_DISABLE).
_DATA_PLANE_ENV = {"MIMALLOC_ALLOW_THP": "0"}


class ExtensionMissingError(Exception):
    """The compiled extension is not installed."""


def extension_path(package_dir: str | None = None) -> str:
    """Returns the path of the compiled extension as installed now, without an import.

    Raises ExtensionMissingError when it was not built.
    """
    folder = package_dir or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folder = os.path.join(folder, "_core")
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        names = []
    for name in names:
        if name.startswith("_core.") and name.endswith(".so"):
            return os.path.join(folder, name)
    raise ExtensionMissingError(
        f"the compiled extension is missing in {folder}; build it (make build)"
    )


def data_plane_command(extension: str) -> list[str]:
    """Returns the command of a data plane whose channel is CHANNEL_FD."""
    return [sys.executable, "-I", "-S", "-c", BOOT, extension, str(CHANNEL_FD)]


def spawn_with_channel(command: list[str]) -> tuple[int, socket.socket]:
    """Starts a data plane with one end of a packet channel as CHANNEL_FD: (pid, our end).

    Its environment is ours, with a data plane's defaults for what ours does not set. Raises OSError
    if it cannot be started.
    """
    ours, theirs = socket.socketpair(
        socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    )
    with theirs:
        theirs.setblocking(True)
        try:
            actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), CHANNEL_FD)]
            return _spawn(command, actions, {**_DATA_PLANE_ENV, **os.environ}), ours
        except OSError:
            ours.close()
            raise


def is_traced(pid: int, proc: str = "/proc") -> bool:
    """Reports whether a debugger or a tracer is attached to a process."""
    try:
        with open(f"{proc}/{pid}/status") as file:
            return any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in file)
    except OSError:
        return False


def spawn_control(command: list[str], admin: int) -> int:
    """Starts a control process that answers on the listening socket `admin`; returns its pid.

    Raises OSError if it cannot be started.
    """
    actions = [(os.POSIX_SPAWN_DUP2, admin, ADMIN_FD)]
    return _spawn(command, actions, {**os.environ, ADMIN_FD_NAME: str(ADMIN_FD)})


def spawn_instance(command: list[str], leash: int) -> int:
    """Starts the supervisor of an instance, which ends with the other end of the pipe `leash`;
    returns its pid. It tells systemd nothing. Raises OSError if it cannot be started.
    """
    ours = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    env = {name: value for name, value in os.environ.items() if name not in ours}
    return _spawn(command, [(os.POSIX_SPAWN_DUP2, leash, LEASH_FD)], env)


def spawn_reader(command: list[str], output: int) -> int:
    """Starts what writes to the pipe `output` what the config says; returns its pid.

    Raises OSError if it cannot be started.
    """
    return _spawn(command, [(os.POSIX_SPAWN_DUP2, output, 1)], dict(os.environ))


def _spawn(command: list[str], actions: list[tuple[int, int, int]], env: dict[str, str]) -> int:
    # A process group of its own: Ctrl-C in a terminal reaches the supervisor alone, which then
    # lets the others finish.
    return os.posix_spawn(command[0], command, env, file_actions=actions, setpgroup=0)
