"""Frames of HTTP/2 as an attacker writes them: any type, any flag, any length."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
PRIORITY_UPDATE = 0x10
UNKNOWN = 0x2A
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
CANCEL = 8
_INDEXED = 0x80
_GET, _POST, _HTTP, _ROOT = 2, 3, 6, 4
"""Entries of HPACK's static table."""
_LONGEST = 126


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame."""
    return len(payload).to_bytes(3) + struct.pack(">BBL", kind, flags, stream) + payload


def literal(name: str, value: str, *, kept: bool = False) -> bytes:
    """A field in plain octets; `kept` = the dynamic table takes it."""
    texts = [name.encode(), value.encode()]
    return (b"\x40" if kept else b"\0") + b"".join(_length(len(t)) + t for t in texts)


def _length(number: int) -> bytes:
    if number <= _LONGEST:
        return bytes([number])
    out, rest = b"\x7f", number - 127
    while rest >= 128:
        out, rest = out + bytes([rest % 128 + 128]), rest // 128
    return out + bytes([rest])


def indexed(entry: int) -> bytes:
    """A field of the tables."""
    return bytes([_INDEXED | entry])


def request(path: str = "/", method: int = _GET, more: bytes = b"") -> bytes:
    """The block of a request."""
    target = indexed(_ROOT) if path == "/" else literal(":path", path)
    return indexed(method) + indexed(_HTTP) + target + literal(":authority", "a.example") + more


def get(stream: int, path: str, more: bytes = b"") -> bytes:
    """A whole GET."""
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, request(path, more=more))


def post(stream: int, path: str, more: bytes = b"") -> bytes:
    """The head of a POST whose body follows."""
    return frame(HEADERS, END_HEADERS, stream, request(path, _POST, more))


def number(value: int) -> bytes:
    """Four octets."""
    return struct.pack(">L", value)


def setting(key: int, value: int) -> bytes:
    """SETTINGS with one entry."""
    return frame(SETTINGS, 0, 0, struct.pack(">HL", key, value))
