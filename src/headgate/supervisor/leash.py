"""Ends an instance of an agent with the agent: whatever killed that, the next one starts the
instance anew and must find its state directory free.

It ends at once, as a supervisor that is killed: nginx serves on, and the control process leaves.
"""

from __future__ import annotations

import _thread
import os

from headgate.supervisor.children import LEASH_FD


def wear() -> None:
    """Makes this process end when the other end of the pipe is closed."""
    os.set_inheritable(LEASH_FD, False)
    _thread.start_new_thread(_end_with_it, ())


def _end_with_it() -> None:
    try:
        while os.read(LEASH_FD, 1):
            pass
    except OSError:
        pass  # the pipe is of no use: neither is a node without its agent
    os._exit(1)
