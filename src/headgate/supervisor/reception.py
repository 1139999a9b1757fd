"""Holds a Unix socket for requests, and the connections of its clients: JSON lines both ways.

It knows nothing of what clients ask; whoever opens it is told what they say, and that they left.
"""

from __future__ import annotations

import os
import selectors
import socket
import time

from headgate.supervisor.channel import LineChannel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from headgate.supervisor.events import Message

_MAX_CLIENTS = 16
_PAUSE_S = 0.05


class Reception:
    """The listening socket, which only its owner may use, and at most 16 clients."""

    def __init__(
        self,
        path: str,
        selector: selectors.BaseSelector,
        said: Callable[[int, Message], None],
        gone: Callable[[int], None],
    ) -> None:
        """Opens it in place of an earlier one; raises OSError. Clients have numbers, which the
        next ones get again. The selector's data of a connection is its channel.
        """
        self.door = listening(path, _MAX_CLIENTS)
        self._path = path
        self._selector = selector
        self._said = said
        self._gone = gone
        self._clients: dict[int, LineChannel] = {}
        selector.register(self.door, selectors.EVENT_READ)

    def accept(self) -> None:
        """Lets a client in, or sends it away if there are too many."""
        try:
            connection, _ = self.door.accept()
        except OSError:
            time.sleep(_PAUSE_S)  # out of descriptors: the client still waits, and we must not spin
            return
        if len(self._clients) >= _MAX_CLIENTS:
            connection.close()
            return
        channel = self._clients[connection.fileno()] = LineChannel(connection)
        self._selector.register(connection, selectors.EVENT_READ, channel)

    def serve(self, channel: LineChannel, mask: int) -> None:
        """Writes and reads what a connection is ready for."""
        client = channel.connection.fileno()
        if self._clients.get(client) is not channel:
            return  # dropped by an earlier event of this round
        if mask & selectors.EVENT_WRITE and not self._flush(client, channel):
            return
        if not mask & selectors.EVENT_READ:
            return
        messages = channel.receive()
        if messages is None:
            self._drop(client)
            return
        for message in messages:
            self._said(client, message)

    def reply(self, client: int, message: Message) -> None:
        """Sends a line to a client, if it is still there; drops one that does not read."""
        channel = self._clients.get(client)
        if channel is None:
            return
        try:
            channel.send(message)
        except OSError:
            self._drop(client)
            return
        self._flush(client, channel)

    def close(self) -> None:
        """Lets nobody in any more."""
        self.door.close()
        remove(self._path)

    def _flush(self, client: int, channel: LineChannel) -> bool:
        try:
            channel.flush()
        except OSError:
            self._drop(client)
            return False
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.wants_to_write else 0)
        self._selector.modify(channel.connection, events, channel)
        return True

    def _drop(self, client: int) -> None:
        channel = self._clients.pop(client, None)
        if channel is not None:
            self._selector.unregister(channel.connection)
            channel.close()
            self._gone(client)


def listening(path: str, backlog: int) -> socket.socket:
    """Returns a socket that listens in place of an earlier one, for its owner alone; raises
    OSError.
    """
    door = socket.socket(
        socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    )
    remove(path)  # left by a process that was killed: the lock of the directory is ours
    # Before `bind`: Linux gives the file the socket's mode, so it is never open to others.
    os.fchmod(door.fileno(), 0o600)
    door.bind(path)
    door.listen(backlog)
    return door


def remove(path: str) -> None:
    """Removes a file, if it is there and can be."""
    try:
        os.unlink(path)
    except OSError:
        pass  # not there
