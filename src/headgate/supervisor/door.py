"""Opens the admin API's Unix socket and lends it to each control process in turn.

So a request without a control process waits for the next one, and gets an answer that says so if
none comes up. This module never reads a request.
"""

from __future__ import annotations

import os
import socket

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
        kind = socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_UNIX, kind)
        _remove(self._path)
        # Before `bind`: Linux gives the file the socket's mode, so it is never open to others.
        os.fchmod(self._socket.fileno(), 0o600)
        self._socket.bind(self._path)
        self._socket.listen(BACKLOG)

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
        _remove(self._path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # not there
