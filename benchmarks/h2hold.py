"""Opens connections with a request on each and holds them until standard input ends.

    python h2hold.py PORT CONNECTIONS [--tls] [--http1] [--stall STREAMS] [--path PATH]

Over HTTP/2, or with `--http1` over HTTP/1.1; the answers are read to their ends. With `--stall`
each connection has so many streams instead whose windows stay shut, and their heads are waited for.
Prints `held N`. Frames are made by hand (RFC 9113), so that clients cost little.
"""

import argparse
import contextlib
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import Final

_TIMEOUT_S: Final = 30.0
_HOST: Final = "bench.example"
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD_BYTES: Final = 9
_DATA, _HEADERS, _RESET, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_INITIAL_WINDOW: Final = 4
_MOST_WINDOW: Final = 0x7FFF_FFFF


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame (RFC 9113 §4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def request(path: str, *, tls: bool) -> bytes:
    """The block of a GET; as browsers do, it puts its fields into the table (RFC 7541 §6.2.1)."""
    block = b"\x82" + (b"\x87" if tls else b"\x86")
    for name, value in ((0x41, _HOST), (0x44, path), (0x7A, "h2hold of headgate's benchmarks")):
        block += bytes([name, len(value)]) + value.encode()
    return block


def opening(streams: int, path: str, *, tls: bool, window: int) -> bytes:
    """All that a client says at first: preface, SETTINGS, and its requests."""
    settings = _INITIAL_WINDOW.to_bytes(2, "big") + window.to_bytes(4, "big")
    said = _PREFACE + frame(_SETTINGS, 0, 0, settings)
    again = bytes([0x82, 0x87 if tls else 0x86, 0xC0, 0xBF, 0xBE])  # the same fields, by index
    for number in range(streams):
        block = again if number else request(path, tls=tls)
        said += frame(_HEADERS, _END_STREAM | _END_HEADERS, 2 * number + 1, block)
    return said


def frames(connection: socket.socket) -> Iterator[tuple[int, int, int]]:
    """Kind, flags and stream of each frame that comes. Raises ConnectionError, TimeoutError."""
    have = b""
    while True:
        while len(have) >= _HEAD_BYTES:
            size = _HEAD_BYTES + int.from_bytes(have[:3], "big")
            if len(have) < size:
                break
            kind, flags = have[3], have[4]
            yield kind, flags, int.from_bytes(have[5:9], "big")
            have = have[size:]
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("the peer ended the connection")
        have += part


def converse(connection: socket.socket, options: argparse.Namespace) -> None:
    """Sends what there is to say and waits for the answers. Raises ConnectionError."""
    wanted = options.stall or 1
    window = 0 if options.stall else _MOST_WINDOW
    connection.sendall(opening(wanted, options.path, tls=options.tls, window=window))
    kind_of_end, answered, greeted = (_HEADERS if options.stall else _DATA), 0, False
    for kind, flags, stream in frames(connection):
        if kind in {_RESET, _GOAWAY}:
            raise ConnectionError(f"stream {stream} got a frame of kind {kind}")
        if kind == _SETTINGS and not flags & _ACK:
            connection.sendall(frame(_SETTINGS, _ACK, 0))
            greeted = True
        ends = options.stall or flags & _END_STREAM
        answered += bool(kind == kind_of_end and ends)
        if greeted and answered == wanted:
            return


def converse_http1(connection: socket.socket, options: argparse.Namespace) -> None:
    """The same over HTTP/1.1, with an answer of 13 bytes."""
    connection.sendall(f"GET {options.path} HTTP/1.1\r\nHost: {_HOST}\r\n\r\n".encode())
    have = b""
    while len(have.partition(b"\r\n\r\n")[2]) < 13:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("the peer ended the connection")
        have += part


def opened(options: argparse.Namespace) -> socket.socket:
    """One connection that has had its answers. Raises OSError."""
    connection = socket.create_connection(("127.0.0.1", options.port), _TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if options.tls:
        context: ssl.SSLContext = options.context
        connection = context.wrap_socket(connection, server_hostname=_HOST)
    (converse_http1 if options.http1 else converse)(connection, options)
    return connection


def main() -> None:
    """Holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("connections", type=int)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--http1", action="store_true")
    parser.add_argument("--stall", type=int, default=0)
    parser.add_argument("--path", default="/b/13")
    options = parser.parse_args()
    options.context = ssl.create_default_context()
    options.context.check_hostname = False
    options.context.verify_mode = ssl.CERT_NONE
    options.context.set_alpn_protocols(["http/1.1" if options.http1 else "h2"])
    with contextlib.ExitStack() as stack:
        for _ in range(options.connections):
            stack.enter_context(opened(options))
        sys.stdout.write(f"held {options.connections}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
