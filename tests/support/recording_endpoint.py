"""An endpoint over HTTP/1.1 that records the bytes of every request as they came."""

import re
import socket
import threading

from socket_server import SocketServer

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Recorder:
    """Requests in the order they came; threads may add while a test takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[bytes] = []

    def add(self, request: bytes) -> None:
        """One more."""
        with self._lock:
            self._seen.append(request)

    def take(self) -> list[bytes]:
        """All that came since the last time."""
        with self._lock:
            seen, self._seen = self._seen, []
        return seen


class RecordingEndpoint(SocketServer):
    """Keeps its connections, so that bytes that follow a request become the next one."""

    def __init__(self, recorder: Recorder, answers: dict[bytes, bytes]) -> None:
        """`answers`: for the path of a request; any other gets `OK`."""
        self._recorder, self._answers = recorder, answers
        super().__init__()

    def serve(self, link: socket.socket) -> None:
        """Records and answers requests, and records what broke off."""
        left = b""
        while True:
            request, left = self._next(link, left)
            if request:
                self._recorder.add(request)
            if not request.partition(b"\r\n\r\n")[1]:
                return
            path = request.split(b" ", 2)[1]
            link.sendall(self._answers.get(path, OK))

    def _next(self, link: socket.socket, left: bytes) -> tuple[bytes, bytes]:
        """The bytes of a request, and those after it; shorter where the connection ends."""
        while (end := _end_of(left)) is None:
            more = link.recv(1 << 16)
            if not more:
                return left, b""
            left += more
        return left[:end], left[end:]


def _end_of(octets: bytes) -> int | None:
    """Where the first request ends; None = not yet."""
    head, mark, rest = octets.partition(b"\r\n\r\n")
    if not mark:
        return None
    start = len(head) + 4
    if re.search(rb"(?im)^transfer-encoding: *chunked\r?$", head):
        return _end_of_chunks(octets, start)
    length = re.search(rb"(?im)^content-length: *(\d+)\r?$", head)
    size = int(length[1]) if length else 0
    return start + size if len(rest) >= size else None


def _end_of_chunks(octets: bytes, at: int) -> int | None:
    """Where a body in chunks ends that begins there; None = not yet."""
    while (line := octets.find(b"\r\n", at)) >= 0:
        size = int(octets[at:line], 16)
        at = line + 2
        if size:
            at += size + 2
            continue
        trailers = re.match(rb"(?:[^\r\n]+\r\n)*\r\n", octets[at:])
        return at + trailers.end() if trailers else None
    return None
