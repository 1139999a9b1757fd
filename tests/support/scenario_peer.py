"""One side of a connection in a scenario: carries out its steps."""

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable

import scenario as sc
from cut_off import CutOff

#: How long one step may take. Some scenarios show what a server never does: they wait it out.
STEP_S = 20.0
#: A writer that got nothing away for this long is stalled.
STALL_S = 0.5


class NotMetError(AssertionError):
    """A step was not met."""


class Events:
    """Events that peers fire and wait for."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._fired: set[str] = set()

    def fire(self, name: str) -> None:
        """Lets those go on that wait for it, now and later."""
        with self._lock:
            self._fired.add(name)
            self._lock.notify_all()

    def wait(self, name: str) -> None:
        """Returns once it was fired."""
        with self._lock:
            if not self._lock.wait_for(lambda: name in self._fired, STEP_S):
                raise NotMetError(f"event {name!r} was never fired")


class Peer:
    """A connection and what was read of it so far."""

    def __init__(self, sock: socket.socket, events: Events) -> None:
        self._sock = sock
        self._sock.settimeout(STEP_S)
        with CutOff():  # one that was accepted may have ended
            self._address = sock.getpeername()
        self._events = events
        self._buffer = b""
        self._fields: dict[str, str] = {}
        self._is_bodiless = False
        self._asked_head = False

    def play(self, steps: tuple[sc.AnyStep, ...]) -> None:
        """Carries out every step. Raises NotMetError naming the one that was not met."""
        try:
            for number, step in enumerate(steps, 1):
                try:
                    self._do(step)
                except (NotMetError, OSError) as error:
                    raise NotMetError(f"step {number}, {step}: {error}") from error
        finally:
            self._sock.close()

    def _do(self, step: sc.AnyStep) -> None:
        actions: dict[type[sc.Step], Callable[[], None]] = {
            sc.HalfClose: self._half_close,
            sc.Close: self._sock.close,
            sc.Reset: self._reset,
            sc.End: self._end,
            sc.Cut: self._cut,
            sc.SendUntilGone: self._send_until_gone,
            sc.Reconnect: self._reconnect,
        }
        match step:
            case sc.Send():
                self._send(step.text.encode("latin-1") * step.times)
            case sc.Head():
                self._head(step)
            case sc.Body():
                self._body(step)
            case sc.Raw():
                self._expect(self._exactly(len(step.text))[0].decode("latin-1"), step.text)
            case sc.Pour():
                self._pour(step)
            case sc.Fire():
                self._events.fire(step.event)
            case sc.Wait():
                self._events.wait(step.event)
            case _:
                actions[type(step)]()

    def _send(self, data: bytes) -> None:
        self._asked_head = data.startswith(b"HEAD ")
        self._sock.sendall(data)

    def _half_close(self) -> None:
        with CutOff():  # what follows tells whether that was right
            self._sock.shutdown(socket.SHUT_WR)

    def _reset(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def _reconnect(self) -> None:
        self._sock.close()
        self._sock = socket.create_connection(self._address, STEP_S)
        self._buffer = b""

    def _more(self) -> bool:
        """Reads once; false at the end or a reset. Raises NotMetError when nothing comes."""
        try:
            got = self._sock.recv(1 << 16)
        except TimeoutError:
            raise NotMetError(f"nothing comes; so far {self._buffer[:200]!r}") from None
        except ConnectionError:
            return False
        self._buffer += got
        return bool(got)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            if not self._more():
                raise NotMetError(f"the connection ended after {self._buffer[:200]!r}")
        got, self._buffer = self._buffer.split(mark, 1)
        return got

    def _exactly(self, size: int) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        while size > len(self._buffer):
            size -= len(self._buffer)
            parts.append(self._buffer)
            self._buffer = b""
            if not self._more():
                return b"".join(parts), False
        parts.append(self._buffer[:size])
        self._buffer = self._buffer[size:]
        return b"".join(parts), True

    def _head(self, step: sc.Head) -> None:
        while True:
            start, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            interim = start.startswith("HTTP/1.1 1") and not start.startswith("HTTP/1.1 101")
            if not interim or step.start.startswith("HTTP/1.1 1"):
                break
        if not start.startswith(step.start):
            raise NotMetError(f"got {start!r} with {lines}")
        pairs = [line.partition(":") for line in lines]
        found = [f"{name.lower()}: {value.strip()}" for name, _, value in pairs]
        missing = [line for line in step.has if line not in found]
        unwanted = [name for name in step.lacks if any(f.startswith(name + ":") for f in found)]
        if missing or unwanted:
            raise NotMetError(f"missing {missing}, unwanted {unwanted}: {found}")
        self._fields = dict(f.split(": ", 1) for f in found if ": " in f)
        without = start[9:12] in ("204", "304") or (start.startswith("HTTP/") and interim)
        self._is_bodiless = without or self._asked_head

    def _read_body(self) -> tuple[bytes, bool, list[str]]:
        """Body, whether it came whole, and trailer lines."""
        if self._is_bodiless:
            return b"", True, []
        if self._fields.get("transfer-encoding") == "chunked":
            return self._chunks()
        if "content-length" in self._fields:
            return *self._exactly(int(self._fields["content-length"])), []
        while self._more():
            pass
        got, self._buffer = self._buffer, b""
        return got, True, []

    def _chunks(self) -> tuple[bytes, bool, list[str]]:
        body: list[bytes] = []
        trailers: list[str] = []
        try:
            while size := int(self._until(b"\r\n").split(b";")[0], 16):
                data, whole = self._exactly(size + 2)
                body.append(data[:size])
                if not whole:
                    return b"".join(body), False, []
            while line := self._until(b"\r\n").decode("latin-1"):
                trailers.append(line)
        except NotMetError:
            return b"".join(body), False, []
        return b"".join(body), True, trailers

    def _body(self, step: sc.Body) -> None:
        body, whole, trailers = self._read_body()
        if not whole:
            raise NotMetError(f"the body was cut short after {len(body)} bytes")
        wanted = step.text.encode("latin-1") * step.times
        if body != wanted:
            raise NotMetError(f"{len(body)} bytes {body[:80]!r}, not {len(wanted)} as expected")
        if step.trailers is not None:
            self._expect("|".join(trailers).lower(), "|".join(step.trailers).lower())

    def _cut(self) -> None:
        body, whole, _ = self._read_body()
        if whole:
            raise NotMetError(f"the body came whole: {body[:80]!r}")

    def _end(self) -> None:
        while self._more():
            pass
        self._expect(self._buffer.decode("latin-1"), "")

    def _expect(self, got: str, wanted: str) -> None:
        if got != wanted:
            raise NotMetError(f"got {got[:200]!r}")

    def _pour(self, step: sc.Pour) -> None:
        block = b"x" * (1 << 16)
        sent = 0
        while sent < step.total:
            if not select.select([], [self._sock], [], STALL_S)[1]:
                break
            sent += self._sock.send(block[: step.total - sent])
        if sent >= sc.STALLS_BELOW:
            raise NotMetError(f"{sent} bytes were taken though nobody read them")
        self._events.fire(step.event)
        for left in range(step.total - sent, 0, -len(block)):
            self._sock.sendall(block[:left])

    def _send_until_gone(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                self._sock.sendall(b"x" * (1 << 16))
