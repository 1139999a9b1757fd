"""Requests with header lines as given, and what an endpoint that echoes heads got of them."""

import json
import socket
import subprocess
from collections.abc import Sequence

from peers import peer
from waiting import DEADLINE_S

Line = tuple[str, str]


def ask(port: int, path: str = "/", lines: Sequence[Line] = (), *, http2: bool = False) -> bytes:
    """The body of the answer to one request on a connection of its own."""
    return _ask_http2(port, path, lines) if http2 else _ask_http1(port, path, lines)


def fields_of(echoed: bytes, name: str) -> list[str]:
    """The values of a header's lines in what `EchoUpstream` answered."""
    return [value for found, value in json.loads(echoed)["fields"] if found == name]


def _ask_http1(port: int, path: str, lines: Sequence[Line]) -> bytes:
    written = "".join(f"{name}: {value}\r\n" for name, value in lines)
    head = f"GET {path} HTTP/1.1\r\nHost: a.example\r\n{written}Connection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as connection:
        connection.sendall(head.encode("latin-1"))
        whole = b""
        while got := connection.recv(1 << 16):
            whole += got
    return whole.partition(b"\r\n\r\n")[2]


def _ask_http2(port: int, path: str, lines: Sequence[Line]) -> bytes:
    headers = [word for name, value in lines for word in ("-H", f"{name}: {value}")]
    url = f"http://127.0.0.1:{port}{path}"
    done = subprocess.run(
        [peer("curl"), "-sS", "--http2-prior-knowledge", *headers, url],
        capture_output=True,
        timeout=DEADLINE_S,
        check=True,
    )
    return done.stdout
