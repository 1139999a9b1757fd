"""Reads what the kernel counted on a connection. Never reads from it."""

import asyncio
import socket
import struct
from typing import Final, NamedTuple

_TCP_INFO_BYTES: Final = 148
"""Up to `tcpi_notsent_bytes` of `struct tcp_info` (linux/tcp.h, since 4.6)."""
_UNACKED, _ACKED, _RECEIVED, _UNSENT = 24, 120, 128, 144


class Counts(NamedTuple):
    """The bytes of both directions since the connection began."""

    acknowledged: int
    received: int
    is_waiting: bool
    """True if bytes wait for the client, or are on their way."""


def counts_of(one: asyncio.Transport) -> Counts | None:
    """Returns the counts of a connection, or None if it is closed."""
    known = one.get_extra_info("socket")
    try:
        info = known.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except (OSError, AttributeError):
        return None
    if len(info) < _TCP_INFO_BYTES:
        return None
    (in_flight,) = struct.unpack_from("=I", info, _UNACKED)
    (unsent,) = struct.unpack_from("=I", info, _UNSENT)
    (acknowledged,) = struct.unpack_from("=Q", info, _ACKED)
    (received,) = struct.unpack_from("=Q", info, _RECEIVED)
    is_waiting = bool(in_flight or unsent or one.get_write_buffer_size())
    return Counts(int(acknowledged), int(received), is_waiting)
