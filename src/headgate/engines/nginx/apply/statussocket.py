"""Asks an nginx which generation serves, over its status socket."""

import socket
from dataclasses import dataclass

_REQUEST = b"GET /generation HTTP/1.0\r\nHost: headgate\r\n\r\n"
_MOST_BYTES = 4096
_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The generation that answered; `pid` of the worker where it says so, else 0."""

    generation: int
    pid: int = 0


def ask(path: str, timeout_s: float = _TIMEOUT_S) -> Answer | None:
    """Asks once on a connection of its own; None without a valid answer in time."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(timeout_s)
            link.connect(path)
            link.sendall(_REQUEST)
            data = b""
            while len(data) < _MOST_BYTES and (part := link.recv(_MOST_BYTES)):
                data += part
    except OSError:
        return None
    return parse(data)


def parse(data: bytes) -> Answer | None:
    """Parses the answer: 200 with the generation on the first line,
    perhaps the worker's pid on the second.

    >>> parse(b"HTTP/1.1 200 OK\\r\\n\\r\\n7\\n4711\\n")
    Answer(generation=7, pid=4711)
    """
    head, _, body = data.partition(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0] + b" ":
        return None
    lines = body.split()
    if not lines or not lines[0].isdigit():
        return None
    pid = int(lines[1]) if len(lines) > 1 and lines[1].isdigit() else 0
    return Answer(int(lines[0]), pid)
