"""A server of TCP whose connections a test serves byte by byte."""

import socket
import threading
from contextlib import suppress
from typing import Self


class SocketServer:
    """Listens on loopback until `close`, or the end of a `with` block. A subclass says in `serve`
    what it does with a connection, and sets what `serve` needs before it calls `__init__`."""

    def __init__(self, port: int = 0) -> None:
        """`port`: 0 = one that is free."""
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def serve(self, link: socket.socket) -> None:
        """One connection, on a thread of its own; it is closed afterwards. An OSError ends it."""
        raise NotImplementedError

    def close(self) -> None:
        """Takes no connection any more, and ends those that are open."""
        for one in (self._listener, *tuple(self._open)):
            with suppress(OSError):  # gone already
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                link, _ = self._listener.accept()
                self._open.add(link)
                threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link, suppress(OSError):
            self.serve(link)
        self._open.discard(link)
