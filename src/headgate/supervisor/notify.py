"""Implements sd_notify(3): datagrams to the socket that systemd names."""

from __future__ import annotations

import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Notifier:
    """Sends states to `NOTIFY_SOCKET`; without one it does nothing."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        if address.startswith("@"):
            address = "\0" + address[1:]
        self._address = address
        self._socket: socket.socket | None = None
        if address:
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            self._socket = socket.socket(socket.AF_UNIX, kind)

    def send(self, state: str) -> None:
        """Sends one state; a manager that does not listen does not stop the supervisor."""
        if self._socket is None:
            return
        try:
            self._socket.sendto(state.encode(), self._address)
        except OSError:
            pass  # we can do nothing, and nobody would read a report


def watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Returns the seconds between WATCHDOG=1 states (half
    of systemd's limit); None = no watchdog.
    """
    pid = environment.get("WATCHDOG_PID")
    if pid and pid != str(os.getpid()):
        return None
    try:
        usec = int(environment.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return usec / 2_000_000 if usec > 0 else None
