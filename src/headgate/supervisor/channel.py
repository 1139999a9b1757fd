"""Holds the two kinds of wire: packets with descriptors to data planes, JSON lines to clients."""

from __future__ import annotations

import json
import socket
from array import array
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from headgate.supervisor.events import Message

MAX_PACKET = 65_536
MAX_LINE = 1 << 20
MAX_DESCRIPTORS = 200
MAX_DEPTH = 8  # of objects and lists in each other; messages have three


def encode(message: Message) -> bytes:
    """Returns one JSON object in UTF-8 without white space or line breaks."""
    return json.dumps(message, separators=(",", ":")).encode()


def decode(raw: bytes) -> Message:
    """Returns the JSON object in `raw`; ValueError if it is not one, or nested too deeply for
    what reads it or writes a part of it back.
    """
    try:
        message = json.loads(raw)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    if _is_deep(message, MAX_DEPTH):
        raise ValueError("nested too deeply")
    return message


def _is_deep(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(_is_deep(one, levels - 1) for one in value)


class PacketChannel:
    """One end of a SOCK_SEQPACKET pair: a JSON object a packet, descriptors beside it."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self._waiting: deque[tuple[bytes, list[int], socket.socket | None]] = deque()

    @property
    def wants_to_write(self) -> bool:
        """True if packets wait for room in the socket's buffer."""
        return bool(self._waiting)

    def send(self, message: Message, descriptors: list[int] | None = None) -> None:
        """Queues a packet and sends what fits; at most MAX_DESCRIPTORS descriptors.

        They must stay open until the packet has left. Raises OSError if the other end is gone.
        """
        self._waiting.append((encode(message), descriptors or [], None))
        self.flush()

    def give(self, message: Message, gift: socket.socket) -> None:
        """Sends a packet with a socket, in the same way; ours is closed once it has left."""
        self._waiting.append((encode(message), [gift.fileno()], gift))
        self.flush()

    def flush(self) -> None:
        """Sends queued packets until the buffer is full; OSError if the other end is gone."""
        while self._waiting:
            packet, descriptors, gift = self._waiting[0]
            rights = array("i", descriptors).tobytes()
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
            try:
                self.connection.sendmsg([packet], ancillary, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            self._waiting.popleft()
            if gift is not None:
                gift.close()

    def receive(self) -> list[Message] | None:
        """Returns the packets that have come, without bad ones; None once the other end is gone."""
        messages: list[Message] = []
        while True:
            try:
                packet = self.connection.recv(MAX_PACKET)
            except BlockingIOError:
                return messages
            except OSError:
                return messages or None
            if not packet:
                return messages or None
            try:
                messages.append(decode(packet))
            except ValueError:
                continue

    def close(self) -> None:
        """Closes our end; the data plane sees the end of the channel."""
        for _, _, gift in self._waiting:
            if gift is not None:
                gift.close()
        self._waiting.clear()
        self.connection.close()


class LineChannel:
    """A stream connection that carries one JSON object a line."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self._input = b""
        self._output = b""

    @property
    def wants_to_write(self) -> bool:
        """True if bytes wait for room in the socket's buffer."""
        return bool(self._output)

    def send(self, message: Message) -> None:
        """Queues a line and sends what fits; OSError if the client is gone or never reads."""
        self._output += encode(message) + b"\n"
        if len(self._output) > MAX_LINE:
            raise OSError("the client does not read")
        self.flush()

    def flush(self) -> None:
        """Sends queued bytes until the buffer is full; OSError if the client is gone."""
        while self._output:
            try:
                sent = self.connection.send(self._output, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            self._output = self._output[sent:]

    def receive(self) -> list[Message] | None:
        """Returns whole lines that have come; None once the client is gone,
        sends rubbish or too much.
        """
        try:
            received = self.connection.recv(MAX_PACKET)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not received:
            return None
        *lines, self._input = (self._input + received).split(b"\n")
        if len(self._input) > MAX_LINE:
            return None
        try:
            return [decode(line) for line in lines if line]
        except ValueError:
            return None

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()
