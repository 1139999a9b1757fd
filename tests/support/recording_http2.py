"""An endpoint over HTTP/2 without TLS that records requests and answers them with given frames."""

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from header_blocks import read
from hpack import Decoder
from http2_wire import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    SETTINGS,
    EndedError,
    exactly,
    frame,
)
from recording_endpoint import Recorder
from socket_server import SocketServer

Answer = Callable[[int], bytes]
"""A stream → the frames of its answer."""

_LONGEST = 16_384
_PADDED, _WITH_PRIORITY, _ACK, _CONTINUATION = 0x8, 0x20, 0x1, 9


@dataclass
class _Request:
    path: bytes = b""
    text: bytes = b""
    is_answered: bool = False


@dataclass
class _Connection:
    link: socket.socket
    decoder: Decoder = field(default_factory=Decoder)
    block: bytes = b""
    ends: bool = False
    requests: dict[int, _Request] = field(default_factory=dict)


class RecordingHttp2(SocketServer):
    """A request is recorded once it is whole: a line for each field of its head, an empty line, its
    body, and the lines of its trailers; one that is answered early as it is then."""

    def __init__(
        self, recorder: Recorder, answers: Mapping[bytes, Answer], early: Mapping[bytes, Answer]
    ) -> None:
        """By the path of a request; `early` = as soon as its head has come."""
        self._recorder, self._answers, self._early = recorder, answers, early
        super().__init__()

    def serve(self, link: socket.socket) -> None:
        """Greets, and takes frames until the connection ends."""
        with suppress(EndedError):
            exactly(link, len(PREFACE))
            link.sendall(frame(SETTINGS, 0, 0, b""))
            connection = _Connection(link)
            while True:
                head = exactly(link, 9)
                payload = exactly(link, int.from_bytes(head[:3]))
                stream = int.from_bytes(head[5:]) & 0x7FFF_FFFF
                self._take(connection, (head[3], head[4], stream), payload)

    def _take(self, of: _Connection, sort: tuple[int, int, int], payload: bytes) -> None:
        kind, flags, stream = sort
        if kind in (SETTINGS, PING):
            if not flags & _ACK:
                of.link.sendall(frame(kind, _ACK, 0, payload if kind == PING else b""))
        elif kind in (HEADERS, _CONTINUATION):
            assert not flags & (_PADDED | _WITH_PRIORITY) and len(payload) <= _LONGEST
            of.block += payload
            of.ends |= kind == HEADERS and bool(flags & END_STREAM)
            if flags & END_HEADERS:
                self._head(of, stream)
        elif kind == DATA:
            of.requests[stream].text += payload
            of.ends = bool(flags & END_STREAM)
        if of.ends and not of.block:
            of.ends = False
            self._whole(of, stream)

    def _head(self, of: _Connection, stream: int) -> None:
        fields, of.block = read(of.decoder, of.block), b""
        lines = b"".join(b"%b: %b\r\n" % one for one in fields)
        request = of.requests.get(stream)
        if request is not None:
            request.text += lines
            return
        request = _Request(dict(fields)[b":path"], lines + b"\r\n")
        of.requests[stream] = request
        if request.path in self._early:
            request.is_answered = True
            self._recorder.add(request.text)
            of.link.sendall(self._early[request.path](stream))

    def _whole(self, of: _Connection, stream: int) -> None:
        request = of.requests[stream]
        if not request.is_answered:
            self._recorder.add(request.text)
            of.link.sendall(self._answers[request.path](stream))
