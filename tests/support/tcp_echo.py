"""Servers of plain TCP that send first, and a client that talks to them."""

import socket

from ports import free_port
from socket_server import SocketServer
from waiting import DEADLINE_S


class Echo(SocketServer):
    """A server that sends its name first, and then what it gets."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        super().__init__(free_port())  # that stays nobody's after the end

    def serve(self, link: socket.socket) -> None:
        """Sends until the client's end, and then its own."""
        link.sendall(self.name)
        while data := link.recv(65536):
            link.sendall(data)
        link.shutdown(socket.SHUT_WR)


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
