"""A connection to a server under test, with answers as they are."""

import socket
from typing import NamedTuple, Self

from waiting import DEADLINE_S


class Answer(NamedTuple):
    """An answer; names of headers in lower case, in the order they came."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first line of a header."""
        return next((value for found, value in self.headers if found == name), None)


class Wire:
    """One keep-alive connection, made anew when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._left = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._left = b""

    def ask(self, request: bytes) -> Answer:
        """Sends a head and reads the answer, whose body has a Content-Length or none."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), DEADLINE_S)
        self._socket.sendall(request)
        start, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = [line.partition(":") for line in lines]
        headers = tuple((name.lower(), value.strip()) for name, _, value in fields)
        answer = Answer(int(start[9:12]), headers, b"")
        length = int(answer.header("content-length") or 0)
        while len(self._left) < length:
            self._read()
        body, self._left = self._left[:length], self._left[length:]
        if answer.header("connection") == "close":
            self._close()
        return answer._replace(body=body)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._left:
            self._read()
        found, _, self._left = self._left.partition(mark)
        return found

    def _read(self) -> None:
        assert self._socket is not None
        got = self._socket.recv(1 << 16)
        assert got, f"closed after {self._left!r}"
        self._left += got
