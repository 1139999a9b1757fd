"""A client that sends frames of HTTP/2 as they are given and tells what came back."""

import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Self

from header_blocks import Field, read
from hpack import Decoder
from http2_wire import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PREFACE,
    RESET,
    SETTINGS,
    EndedError,
    exactly,
    frame,
)

PRIORITY, PUSH, WINDOW, CONTINUATION = 2, 5, 8, 9
PADDED, WITH_PRIORITY, ACK = 0x8, 0x20, 0x1


@dataclass
class Stream:
    """What came for a stream."""

    heads: list[list[Field]] = field(default_factory=list)
    """Interim heads, the head, and trailers, in their order."""
    body: bytes = b""
    has_ended: bool = False
    reset: int | None = None
    """The code of RST_STREAM."""
    frames: list[tuple[int, int]] = field(default_factory=list)
    """The type and the length of each frame."""

    @property
    def statuses(self) -> list[int]:
        """The status of each head that has one."""
        return [int(v) for head in self.heads for n, v in head if n == b":status"]

    @property
    def fields(self) -> list[Field]:
        """Every field but those of the protocol, trailers too."""
        return [one for head in self.heads for one in head if not one[0].startswith(b":")]

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes but perhaps a reset."""
        return self.has_ended or self.reset is not None


class FrameClient:
    """A connection that has sent its greeting; `closed` once it has ended, `goaway` with which
    code."""

    def __init__(self, link: socket.socket, opening: bytes | None = None) -> None:
        """`opening`: what is sent in place of SETTINGS and their acknowledgement."""
        self._link = link
        self._decoder = Decoder()
        self._block = b""
        self.streams: dict[int, Stream] = {}
        self.goaway: int | None = None
        self.closed = False
        greeting = frame(SETTINGS, 0, 0, b"") + frame(SETTINGS, ACK, 0, b"")
        self.send(PREFACE + (greeting if opening is None else opening))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    def send(self, octets: bytes) -> None:
        """Sends these; what the other side no longer reads is not sent."""
        with contextlib.suppress(ConnectionError):  # why can still be read
            self._link.sendall(octets)

    def stream(self, id: int) -> Stream:
        """What has come for a stream."""
        return self.streams.setdefault(id, Stream())

    def until_over(self, id: int) -> Stream:
        """Reads until a stream is over or the connection has ended."""
        stream = self.stream(id)
        while not (stream.is_over or self.closed):
            self._read()
        return stream

    def until_closed(self) -> None:
        """Reads until the connection has ended."""
        while not self.closed:
            self._read()

    def _read(self) -> None:
        try:
            head = exactly(self._link, 9)
            payload = exactly(self._link, int.from_bytes(head[:3]))
        except (EndedError, ConnectionError):
            self.closed = True
            return
        kind, flags, id = head[3], head[4], int.from_bytes(head[5:]) & 0x7FFF_FFFF
        if kind == GOAWAY:
            code = int(struct.unpack(">L", payload[4:8])[0])
            self.goaway = code if code or self.goaway is None else self.goaway
        elif id:
            self._take(self.stream(id), (kind, flags), payload)

    def _take(self, stream: Stream, sort: tuple[int, int], payload: bytes) -> None:
        kind, flags = sort
        stream.frames.append((kind, len(payload)))
        if kind == RESET:
            stream.reset = int.from_bytes(payload)
        elif kind == DATA:
            stream.body += payload
        elif kind in (HEADERS, CONTINUATION):
            self._block += payload
            if flags & END_HEADERS:
                stream.heads.append(read(self._decoder, self._block))
                self._block = b""
        # The end of a stream stands on HEADERS, its head may end with CONTINUATION.
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            stream.has_ended = True
