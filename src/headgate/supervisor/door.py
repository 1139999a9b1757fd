"""Opens the admin API's Unix socket and lends it to each control process in turn.

So a request without a control process waits for the next one, and gets an answer that says so if
none comes up. This module never reads a request.
"""

from __future__ import annotations

import os
import socket

from headgate.supervisor.reception import listening, remove

NAME = "admin.sock"
BACKLOG = 16
_ENOUGH = 65_536  # of a request; unread bytes would cut our answer off
_WHY = b'{"error":"the control process is away; the supervisor starts it again"}'
_AWAY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_WHY), _WHY)
)


class AdminDoor:
    """The listening socket, which only its owner may use."""

    def __init__(self, state_dir: str) -> None:
        """Opens it in place of an earlier one; raises OSError."""
        self._path = os.path.join(state_dir, NAME)
        self._socket = listening(self._path, BACKLOG)

    def descriptor(self) -> int:
        """Returns the descriptor for a new control process."""
        return self._socket.fileno()

    def answer_away(self) -> None:
        """Answers 503 to every waiting connection."""
        for _ in range(BACKLOG * 2):  # clients that come again at once must not keep us here
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.setblocking(False)
                try:
                    connection.recv(_ENOUGH)
                except OSError:
                    pass  # it has not asked yet; tell it all the same
                try:
                    connection.send(_AWAY, socket.MSG_NOSIGNAL)
                except OSError:
                    pass  # it has left

    def close(self) -> None:
        """Closes it for good."""
        self._socket.close()
        remove(self._path)
