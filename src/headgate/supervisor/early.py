"""The control process that `headgate run` left: a child of this process that waits for us."""

from __future__ import annotations

import os
import socket


class Early:
    """Its pid, and the socket at which it waits for the admin API's."""

    def __init__(self, pid: int, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._pid = pid
        self._socket = socket.socket(fileno=descriptor)

    def start(self, admin: int) -> int | None:
        """Lends it the listening socket `admin`, with which it begins; returns its pid.

        None if it has ended meanwhile.
        """
        with self._socket:
            try:
                socket.send_fds(self._socket, [b"a"], [admin])
            except OSError:
                os.waitpid(self._pid, 0)
                return None
        return self._pid
