"""Turns the signals that a process of ours listens to into bytes of a socket."""

from __future__ import annotations

import signal
import socket

ORDERS = ("TERM", "INT", "HUP", "USR1", "USR2")
"""The signals that people and systemd send."""
CHILD = "CHLD"


def watch() -> socket.socket:
    """Returns the socket that is readable once a signal came; its end goes with the process."""
    read_end, write_end = socket.socketpair()
    read_end.setblocking(False)
    write_end.setblocking(False)
    signal.set_wakeup_fd(write_end.detach(), warn_on_full_buffer=False)
    for name in (*ORDERS, CHILD):
        signal.signal(getattr(signal, f"SIG{name}"), _nothing)
    return read_end


def came(wakeup: socket.socket) -> list[str]:
    """Returns the names of those that came, without `SIG`, in their order."""
    return [signal.Signals(number).name[3:] for number in wakeup.recv(256)]


def _nothing(_number: int, _frame: object) -> None:
    """Does nothing: Python writes to the wakeup descriptor only if a handler exists."""
