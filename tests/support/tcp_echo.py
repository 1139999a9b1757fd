"""Servers of plain TCP that send first, and a client that talks to them."""

import socket
import threading
from contextlib import suppress

from ports import free_port
from waiting import DEADLINE_S


class Echo:
    """A server that sends its name first, and then what it gets."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self._open: list[socket.socket] = []
        self.port = free_port()  # that stays nobody's after the end
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            connection.sendall(self.name)
            while data := connection.recv(65536):
                connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Ends it, and its connections."""
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def talk(port: int, message: bytes, *, source: str = "127.0.0.1") -> bytes:
    """Which server answers on a connection of its own that carries a message there and back.

    `source` is the address that it comes from.
    """
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S, (source, 0)) as one:
        name = one.recv(1)
        one.sendall(message)
        one.shutdown(socket.SHUT_WR)
        got = b""
        while data := one.recv(65536):
            got += data
        assert got == message
        return name
