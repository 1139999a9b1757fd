"""The backend of an attack, which counts what it works on."""

import os
import selectors
import socket
import threading
from typing import Self

_HEAD_END = b"\r\n\r\n"
_BIG = 256 * 1024
_PIECE = 16 * 1024
"""Written at once: a longer system call of ours would hold up who shares the core with us."""
_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_PAGE = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % _BIG + b"x" * _BIG


class Backend:
    """An HTTP/1.1 server in a thread: `/work` is never answered, `/big` gets 256 KiB.

    It works on a request from its head to its answer, or until the connection ends.
    """

    def __init__(self, *, yields: bool = False) -> None:
        """`yields`: whatever wants to run and does not yield goes first."""
        self._yields = yields
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._open: dict[socket.socket, bytes] = {}
        self._unsent: dict[socket.socket, memoryview] = {}
        self._working: set[socket.socket] = set()
        self._most = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        for one in [*self._open, self._listener]:
            one.close()

    def working(self) -> int:
        """Requests that it works on now."""
        return len(self._working)

    def most(self) -> int:
        """The most that it worked on at once."""
        return self._most

    def _run(self) -> None:
        if self._yields:
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
        while not self._ends.is_set():
            for key, events in self._selector.select(0.1):
                one = key.fileobj
                assert isinstance(one, socket.socket)
                if one is self._listener:
                    self._accept()
                elif one in self._open and events & selectors.EVENT_WRITE:
                    self._send(one)
                elif one in self._open:
                    self._read(one)

    def _accept(self) -> None:
        for _ in range(64):
            try:
                one, _address = self._listener.accept()
            except BlockingIOError:
                return
            one.setblocking(False)
            self._open[one] = b""
            self._selector.register(one, selectors.EVENT_READ)

    def _read(self, one: socket.socket) -> None:
        while True:
            try:
                more = one.recv(65_536)
            except BlockingIOError:
                break
            except OSError:
                more = b""
            if not more:
                return self._drop(one)
            self._open[one] += more
        while _HEAD_END in self._open.get(one, b""):
            head, _, self._open[one] = self._open[one].partition(_HEAD_END)
            self._serve(one, head)
        return None

    def _serve(self, one: socket.socket, head: bytes) -> None:
        if head.startswith((b"GET /work", b"POST /work")):
            self._working.add(one)
            if len(self._working) > self._most:
                self._note_most()
            return
        self._unsent[one] = memoryview(_PAGE if head.startswith(b"GET /big") else _OK)
        self._send(one)

    def _note_most(self) -> None:
        """A connection that has ended counts no more, even if its end was not read yet."""
        for one in list(self._working):
            try:
                ended = one.recv(1, socket.MSG_PEEK) == b""
            except BlockingIOError:
                ended = False
            except OSError:
                ended = True
            if ended:
                self._drop(one)
        self._most = max(self._most, len(self._working))

    def _send(self, one: socket.socket) -> None:
        try:
            sent = one.send(self._unsent.get(one, b"")[:_PIECE])
        except BlockingIOError:
            sent = 0
        except OSError:
            return self._drop(one)
        self._unsent[one] = self._unsent.get(one, memoryview(b""))[sent:]
        more = selectors.EVENT_WRITE if self._unsent[one] else 0
        self._selector.modify(one, selectors.EVENT_READ | more)
        return None

    def _drop(self, one: socket.socket) -> None:
        self._selector.unregister(one)
        for kept in (self._open, self._unsent):
            kept.pop(one, None)
        self._working.discard(one)
        one.close()
