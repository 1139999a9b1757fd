"""Sessions of libnghttp2, which judge every frame and every block of HPACK that they are fed."""

import ctypes
import ctypes.util
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

Field = tuple[str, str]
SIZE: Final = ctypes.c_size_t
INT: Final = ctypes.c_int
STREAM: Final = ctypes.c_int32
POINTER: Final = ctypes.c_void_p
NO_INDEX: Final = 0x1
_DATA, _HEADERS, _END_STREAM, _EOF = 0, 1, 0x1, 0x1
_HEADER_TABLE_SIZE: Final = 1
_READ: Final = 65_536
_LONGEST_PADDING: Final = 40


class _Pair(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("value", ctypes.c_char_p),
        ("name_length", SIZE),
        ("value_length", SIZE),
        ("flags", ctypes.c_uint8),
    )


class _Setting(ctypes.Structure):
    _fields_ = (("setting", ctypes.c_int32), ("value", ctypes.c_uint32))


class _Head(ctypes.Structure):
    """What every frame begins with."""

    _fields_ = (
        ("length", SIZE),
        ("stream", STREAM),
        ("kind", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8),
    )


_FRAME: Final = ctypes.POINTER(_Head)
_BYTES: Final = ctypes.POINTER(ctypes.c_char)
_ON_FIELD: Final = ctypes.CFUNCTYPE(
    INT, POINTER, _FRAME, _BYTES, SIZE, _BYTES, SIZE, ctypes.c_uint8, POINTER
)
_ON_DATA: Final = ctypes.CFUNCTYPE(INT, POINTER, ctypes.c_uint8, STREAM, _BYTES, SIZE, POINTER)
_ON_FRAME: Final = ctypes.CFUNCTYPE(INT, POINTER, _FRAME, POINTER)
_ON_INVALID: Final = ctypes.CFUNCTYPE(INT, POINTER, _FRAME, INT, POINTER)
_ON_CLOSE: Final = ctypes.CFUNCTYPE(INT, POINTER, STREAM, ctypes.c_uint32, POINTER)
_PAD: Final = ctypes.CFUNCTYPE(ctypes.c_ssize_t, POINTER, _FRAME, SIZE, POINTER)
_GIVE: Final = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t,
    *(POINTER, STREAM, POINTER, SIZE, ctypes.POINTER(ctypes.c_uint32), POINTER, POINTER),
)


class _Body(ctypes.Structure):
    """Where the octets of a body come from."""

    _fields_ = (("source", POINTER), ("give", _GIVE))


def library() -> ctypes.CDLL | None:
    """The library, if it is installed."""
    name = ctypes.util.find_library("nghttp2") or "libnghttp2.so.14"
    try:
        found = ctypes.CDLL(name)
    except OSError:
        return None
    found.nghttp2_session_mem_send.restype = ctypes.c_ssize_t
    found.nghttp2_session_mem_recv.restype = ctypes.c_ssize_t
    found.nghttp2_strerror.restype = ctypes.c_char_p
    return found


@dataclass
class Message:
    """What came in on a stream."""

    fields: list[Field] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    is_whole: bool = False
    closed_with: int | None = None


class RefusedError(Exception):
    """nghttp2 found a frame of the other side to be wrong."""


class Session:
    """One connection, as client or server, on a socket that does not block."""

    def __init__(
        self, lib: ctypes.CDLL, link: socket.socket, rng: random.Random, *, is_server: bool
    ) -> None:
        """`rng` chooses the size of the table for what comes in, and paddings."""
        link.setblocking(False)
        self.link = link
        self.messages: dict[int, Message] = {}
        self._lib, self._rng = lib, rng
        self._out = bytearray()
        self._giving: dict[int, bytes] = {}
        self._faults: list[str] = []
        self._kept = self._callbacks()
        callbacks = POINTER()
        lib.nghttp2_session_callbacks_new(ctypes.byref(callbacks))
        for name, callback in self._kept.items():
            getattr(lib, f"nghttp2_session_callbacks_set_{name}_callback")(callbacks, callback)
        self._session = POINTER()
        new = lib.nghttp2_session_server_new if is_server else lib.nghttp2_session_client_new
        new(ctypes.byref(self._session), callbacks, None)
        lib.nghttp2_session_callbacks_del(callbacks)
        table = _Setting(_HEADER_TABLE_SIZE, rng.choice((0, 64, 300, 4_096, 20_000)))
        self._checked(lib.nghttp2_submit_settings(self._session, 0, ctypes.byref(table), SIZE(1)))

    def close(self) -> None:
        """Frees the session and closes its connection."""
        self._lib.nghttp2_session_del(self._session)
        self.link.close()

    def request(self, fields: Sequence[tuple[str, str, int]], body: bytes) -> int:
        """Sends a request; returns its stream."""
        pairs, given = _pairs(fields), self._given(body)
        stream = self._lib.nghttp2_submit_request(
            *(self._session, None, pairs, SIZE(len(pairs)), given, None)
        )
        self._giving[self._checked(stream)] = body
        return int(stream)

    def respond(self, stream: int, fields: Sequence[tuple[str, str, int]], body: bytes) -> None:
        """Sends an answer."""
        pairs, given = _pairs(fields), self._given(body)
        self._giving[stream] = body
        self._checked(
            self._lib.nghttp2_submit_response(
                *(self._session, STREAM(stream), pairs, SIZE(len(pairs)), given)
            )
        )

    def turn(self) -> bool:
        """Sends and takes what it can. Returns whether the connection is still open.

        Raises RefusedError if nghttp2 refuses a frame.
        """
        self._send()
        try:
            got = self.link.recv(_READ)
        except BlockingIOError:
            return True
        if not got:
            return False
        self._checked(self._lib.nghttp2_session_mem_recv(self._session, got, SIZE(len(got))))
        if self._faults:
            raise RefusedError(self._faults)
        self._send()
        return True

    def _send(self) -> None:
        data = _BYTES()
        while length := self._checked(
            self._lib.nghttp2_session_mem_send(self._session, ctypes.byref(data))
        ):
            self._out += ctypes.string_at(data, length)
        try:
            while self._out:
                del self._out[: self.link.send(self._out)]
        except BlockingIOError:
            pass

    def _checked(self, result: int) -> int:
        if result < 0:
            raise RefusedError(self._lib.nghttp2_strerror(INT(result)).decode())
        return result

    def _given(self, body: bytes) -> object:
        return ctypes.byref(_Body(None, self._give)) if body else None

    def _callbacks(self) -> dict[str, object]:
        self._give = _GIVE(self._on_give)
        return {
            "on_header": _ON_FIELD(self._on_field),
            "on_data_chunk_recv": _ON_DATA(self._on_data),
            "on_frame_recv": _ON_FRAME(self._on_frame),
            "on_invalid_frame_recv": _ON_INVALID(self._on_invalid),
            "on_stream_close": _ON_CLOSE(self._on_close),
            "select_padding": _PAD(self._on_pad),
        }

    def _message(self, stream: int) -> Message:
        return self.messages.setdefault(stream, Message())

    def _on_field(self, _s: int, frame: object, name: object, *rest: object) -> int:
        name_length, value, value_length, *_ = rest
        message = self._message(frame.contents.stream)  # type: ignore[attr-defined]
        text = name[:name_length].decode()  # type: ignore[index]
        message.fields.append((text, value[:value_length].decode()))  # type: ignore[index]
        return 0

    def _on_data(self, _s: int, _flags: int, stream: int, data: object, *rest: object) -> int:
        self._message(stream).body += data[: rest[0]]  # type: ignore[index]
        return 0

    def _on_frame(self, _s: int, frame: object, _user: object) -> int:
        head = frame.contents  # type: ignore[attr-defined]
        if head.kind in (_DATA, _HEADERS) and head.flags & _END_STREAM:
            self._message(head.stream).is_whole = True
        return 0

    def _on_invalid(self, _s: int, frame: object, code: int, _user: object) -> int:
        head = frame.contents  # type: ignore[attr-defined]
        why = self._lib.nghttp2_strerror(INT(code)).decode()
        self._faults.append(f"a frame of type {head.kind} on stream {head.stream}: {why}")
        return 0

    def _on_close(self, _s: int, stream: int, code: int, _user: object) -> int:
        self._message(stream).closed_with = code
        return 0

    def _on_pad(self, _s: int, frame: object, longest: int, _user: object) -> int:
        length = int(frame.contents.length)  # type: ignore[attr-defined]
        padding = self._rng.choice((0, 0, self._rng.randrange(_LONGEST_PADDING)))
        return min(longest, length + padding)

    def _on_give(
        self, _s: int, stream: int, into: int, most: int, flags: object, *_: object
    ) -> int:
        body = self._giving[stream]
        part, self._giving[stream] = body[:most], body[most:]
        ctypes.memmove(into, part, len(part))
        if len(part) == len(body):
            flags[0] = _EOF  # type: ignore[index]
        return len(part)


def _pairs(fields: Sequence[tuple[str, str, int]]) -> "ctypes.Array[_Pair]":
    made = [
        _Pair(name.encode(), value.encode(), len(name), len(value), flags)
        for name, value, flags in fields
    ]
    return (_Pair * len(made))(*made)
