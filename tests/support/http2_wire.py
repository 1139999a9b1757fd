"""One request over HTTP/2 with TLS, of whatever fields a test wants: also those that no client
library would send."""

import socket
import ssl
import struct
from pathlib import Path

from waiting import DEADLINE_S

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS = 0x1, 0x4
STREAM = 1
_LONGEST = 126
"""A text's length that fits into one octet of HPACK."""


class EndedError(Exception):
    """The server ended the stream or the connection with an error code."""


def ask(port: int, name: str, ca_file: Path, fields: list[tuple[str, str]]) -> bytes:
    """The body of the answer to a GET with these fields. Raises EndedError."""
    context = ssl.create_default_context(cafile=str(ca_file))
    context.set_alpn_protocols(["h2"])
    pseudo = [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", name)]
    block = b"".join(map(_literal, [*pseudo, *fields]))
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
        context.wrap_socket(plain, server_hostname=name) as link,
    ):
        assert link.selected_alpn_protocol() == "h2"
        request = frame(HEADERS, END_STREAM | END_HEADERS, STREAM, block)
        link.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + request)
        return _answered(link)


def _answered(link: ssl.SSLSocket) -> bytes:
    body = b""
    while True:
        head = exactly(link, 9)
        length, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
        payload = exactly(link, length)
        if kind == GOAWAY or (kind == RESET and head[8] == STREAM):
            raise EndedError(f"error code {int.from_bytes(payload[-4:])}")
        if kind == DATA:
            body += payload
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            return body


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """The bytes of a frame."""
    return len(payload).to_bytes(3) + struct.pack(">BBL", kind, flags, stream) + payload


def _literal(field: tuple[str, str]) -> bytes:
    """A field as a literal without an index."""
    texts = [text.encode() for text in field]
    assert all(len(text) <= _LONGEST for text in texts)
    return b"\0" + b"".join(bytes([len(text)]) + text for text in texts)


def exactly(link: socket.socket, count: int) -> bytes:
    """So many bytes of a connection. Raises EndedError if it ends before."""
    got = b""
    while len(got) < count:
        more = link.recv(count - len(got))
        if not more:
            raise EndedError("the connection was closed")
        got += more
    return got
