"""Ends connections at a time, however slowly their servers go on: timeouts of reads end none."""

import contextlib
import os
import socket
import threading
from collections.abc import Mapping
from typing import Final, Self

_OPENED: Final = "connection.connect_tcp.complete"


class Deadline:
    """Shuts down what was connected within it, after so many seconds, in a thread of its own.

    `note` is a `trace` of httpcore, which names each connection once it is open.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.is_over = False

    def __enter__(self) -> Self:
        """Begins."""
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for one in self._open:
                one.close()
            self._open.clear()

    def note(self, event: str, info: Mapping[str, object]) -> None:
        """Takes a connection that was opened."""
        if event != _OPENED:
            return
        ask = getattr(info["return_value"], "get_extra_info", lambda _: None)
        opened = ask("socket")
        if not isinstance(opened, socket.socket):
            return
        # A number of its own: TLS takes the first one away, and the pool may close it.
        with self._lock:
            self._open.append(socket.socket(fileno=os.dup(opened.fileno())))
            if self.is_over:
                _shut(self._open[-1])

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            for one in self._open:
                _shut(one)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
