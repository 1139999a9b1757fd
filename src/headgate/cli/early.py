"""The first control process of a node: a fork of `headgate run`.

To check the config, `headgate run` loads most of what a control process is made of; then it becomes
the supervisor. Its fork waits for that supervisor, and is the control process that it would have to
start, for four tenths less CPU time. Those after it are programs of their own.
"""

import importlib
import os
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import headgate
from headgate.node import capabilities
from headgate.supervisor import descriptors
from headgate.supervisor.children import ADMIN_FD_NAME


def fork(command: Sequence[str]) -> tuple[int, int] | None:
    """Makes a control process that waits; None if the kernel refuses it.

    `command` would start such a process: `python -P -m MODULE OPTIONS`. Returns the pid and the
    descriptor that `headgate.supervisor.early` sends the admin API's socket through, both for the
    program that this process becomes. The child ends if that descriptor is closed before.
    """
    sys.stdout.flush()  # or both would write what waits there
    sys.stderr.flush()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            return None
        if pid == 0:
            ours.close()
            _serve(theirs, command)
    ours.set_inheritable(True)
    return pid, ours.detach()


def _serve(supervisor: socket.socket, command: Sequence[str]) -> NoReturn:
    """Does what the supervisor does for a child that it starts, and executing a program would."""
    os.setpgid(0, 0)
    descriptors.raise_limit()
    capabilities.settle()
    _, sent, _, _ = socket.recv_fds(supervisor, 1, 1)
    supervisor.close()
    if not sent:
        os._exit(0)
    os.environ[ADMIN_FD_NAME] = str(sent[0])
    _trust_own_path()
    *_, module, options = command
    sys.argv = [module, options]
    try:
        sys.exit(importlib.import_module(f"{module}.__main__").main())
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _trust_own_path() -> None:
    """Does what `-P` does: later imports do not look into the folder that the program lay in."""
    packages = str(Path(headgate.__path__[0]).parent)
    if not sys.flags.safe_path and sys.path[0] != packages:
        del sys.path[0]
