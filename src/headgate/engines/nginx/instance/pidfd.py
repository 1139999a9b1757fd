"""Signals exactly the intended process, never another one that got its pid."""

import errno
import os
import signal

from headgate.engines.nginx.common.types import Process, RightMissingError, SignalName
from headgate.engines.nginx.instance.procfs import Procfs


def send(process: Process, name: SignalName, procfs: Procfs) -> None:
    """Sends a signal (pidfd_send_signal(2), Linux 5.3).

    Raises ProcessLookupError when the process is gone, even if its pid is in use again, and
    RightMissingError when we may not signal it.
    """
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        raise _gone(process) from None
    try:
        # The handle is fixed, and only now compared with the process, so that nothing can come
        # between.
        if not procfs.is_same(process):
            raise _gone(process)
        signal.pidfd_send_signal(handle, signal.Signals[f"SIG{name}"])
    except ProcessLookupError:
        raise _gone(process) from None
    except PermissionError:
        raise RightMissingError(_missing(process, name, procfs)) from None
    finally:
        os.close(handle)


def is_permitted(process: Process, procfs: Procfs) -> bool:
    """Reports whether we may signal it; sends nothing. False if it is gone."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        signal.pidfd_send_signal(handle, 0)
    except OSError:
        return False
    finally:
        os.close(handle)
    return procfs.is_same(process)


def _missing(process: Process, name: SignalName, procfs: Procfs) -> str:
    rights = procfs.rights(process.pid)
    uid = "of another user" if rights is None else f"uid {rights.uid}"
    return (
        f"SIG{name} to the nginx master {process.pid} ({uid}) was refused as uid {os.geteuid()}; "
        f"it takes CAP_KILL or the same uid as the master ({uid})"
    )


def _gone(process: Process) -> ProcessLookupError:
    return ProcessLookupError(errno.ESRCH, f"the nginx master {process.pid} is gone")
