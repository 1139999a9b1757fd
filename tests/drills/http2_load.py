"""A client of HTTP/2 at full load that says of every failure when and what it was.

    python tests/drills/http2_load.py SECONDS PORT [SECURE_PORT CA_FILE]

Half of the connections speak HTTP/2 with prior knowledge, the others through TLS, if there is
a port for that. Prints a JSON line for each failure and one for the whole at the end. What the
node says was not processed (a stream above the last one of a GOAWAY, REFUSED_STREAM) is no
failure: every client may send it again, and it is counted by itself. A connection that ends while
nothing is asked for on it is none either. Kinds: refused, connect (other), handshake, closed, reset
(of the connection), stream (reset before an answer), short (an answer cut), status (not 200),
goaway (with an error), garbage, hung (no answer for 10 s).
"""

import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from http2_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RESET,
    SETTINGS,
    WINDOW,
    frame,
    get,
    literal,
    number,
    post,
)

CONNECTIONS, STREAMS = 16, 8
SMALL, BIG, UPLOAD = 13, 65_536, 20_000
HOST = "a.example"
_AGAIN_S, _LOOK_S, _HUNG_S = 0.05, 0.2, 10.0
_FIRST_WINDOW, _PART = 65_535, 16_384
_NO_TABLE, _NO_PUSH, _OUR_WINDOW = (1, 0), (2, 0), (4, 1 << 20)
_INITIAL_WINDOW, _REFUSED, _NO_ERROR = 4, 7, 0
_STATUSES = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}


@dataclass(frozen=True)
class Kind:
    """What is asked for, and how many octets answer it."""

    path: str
    answer: int
    upload: int = 0

    def head(self, stream: int) -> bytes:
        """What asks for it; endpoints of HTTP/1.1 know no body in chunks."""
        if not self.upload:
            return get(stream, self.path)
        return post(stream, self.path, literal("content-length", str(self.upload)))


KINDS = (
    *(Kind("/one/a", SMALL), Kind("/two/a", SMALL)) * 6,
    *(Kind(f"/one/b/{BIG}", BIG), Kind(f"/two/b/{BIG}", BIG)),
    *(Kind("/one/up", SMALL, UPLOAD), Kind("/two/up", UPLOAD, UPLOAD)),
)
"""`/one` goes to endpoints of HTTP/1.1, `/two` to some of HTTP/2, which echo what is sent."""


@dataclass
class Asked:
    """A stream that has no end yet."""

    kind: Kind
    began: float
    window: int
    unsent: int
    status: int = 0
    got: int = 0
    text: bytes = b""


@dataclass
class Story:
    """What all connections saw."""

    kinds: Iterator[Kind] = field(default_factory=lambda: cycle(KINDS))
    end: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    closes: int = 0
    worst: float = 0.0
    live: "set[Connection]" = field(default_factory=set)

    def failed(self, kind: str, began: float, *, status: int = 0, detail: str = "") -> None:
        """Prints a failure."""
        self.failures += 1
        line = {"at": time.time(), "began": began, "kind": kind, "status": status, "reused": 0}
        sys.stdout.write(json.dumps(line | {"detail": detail}) + "\n")
        sys.stdout.flush()

    def whole(self, seconds: float) -> dict[str, object]:
        """The last line."""
        return {
            "answers": self.answers.total(),
            "seconds": seconds,
            "by_way": dict(self.answers),
            "again": dict(self.again),
            "closes": self.closes,
            "failures": self.failures,
            "worst_ms": self.worst * 1000,
        }


class Connection(asyncio.Protocol):
    """One connection, which asks until it is told to go away, or until the time is over."""

    def __init__(self, story: Story, way: str) -> None:
        self.story, self.way = story, way
        self.over = asyncio.Event()
        self.open: dict[int, Asked] = {}
        self.input = bytearray()
        self.next_stream = 1
        self.window = self.first_window = _FIRST_WINDOW
        self.untold = 0
        self.goes_away = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets and asks."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.story.live.add(self)
        settings = b"".join(
            key.to_bytes(2) + value.to_bytes(4) for key, value in (_NO_TABLE, _NO_PUSH, _OUR_WINDOW)
        )
        transport.write(PREFACE + frame(SETTINGS, 0, 0, settings))
        self.ask()

    def ask(self) -> None:
        """Asks on all streams that are free; a connection that goes away ends after the last."""
        out = []
        ends = self.goes_away or time.time() >= self.story.end
        while not ends and len(self.open) < STREAMS:
            stream, kind = self.next_stream, next(self.story.kinds)
            self.next_stream += 2
            self.open[stream] = Asked(kind, time.time(), self.first_window, kind.upload)
            out.append(kind.head(stream))
        self.transport.write(b"".join(out))
        self.send_bodies()
        if ends and not self.open and not self.transport.is_closing():
            self.transport.close()

    def send_bodies(self) -> None:
        """Sends what the windows allow."""
        for stream, one in self.open.items():
            while one.unsent and (size := min(one.unsent, self.window, one.window, _PART)) > 0:
                one.unsent -= size
                one.window -= size
                self.window -= size
                flags = 0 if one.unsent else END_STREAM
                self.transport.write(frame(DATA, flags, stream, b"x" * size))

    def data_received(self, data: bytes) -> None:
        """Takes whole frames, and asks for more."""
        self.input += data
        while len(self.input) >= 9:
            length = int.from_bytes(self.input[:3])
            if len(self.input) < 9 + length:
                break
            kind, flags = self.input[3], self.input[4]
            stream = int.from_bytes(self.input[5:9])
            payload = bytes(self.input[9 : 9 + length])
            del self.input[: 9 + length]
            self.take(kind, flags, stream, payload)
        if self.untold >= _FIRST_WINDOW // 2:
            self.transport.write(frame(WINDOW, 0, 0, number(self.untold)))
            self.untold = 0
        self.ask()

    def take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Takes a frame."""
        one = self.open.get(stream)
        match kind:
            case _ if kind == DATA:
                self.untold += len(payload)
                if one is not None:
                    one.got += len(payload)
                    one.text = one.text or payload[:80]
            case _ if kind == HEADERS and one is not None:
                one.status = one.status or status_of(payload)
            case _ if kind == SETTINGS and not flags & ACK:
                self.set(payload)
            case _ if kind == PING and not flags & ACK:
                self.transport.write(frame(PING, ACK, 0, payload))
            case _ if kind == WINDOW:
                self.widen(one, stream, int.from_bytes(payload))
            case _ if kind == RESET and one is not None:
                self.was_reset(stream, one, int.from_bytes(payload))
            case _ if kind == GOAWAY:
                self.go_away(int.from_bytes(payload[:4]), int.from_bytes(payload[4:8]))
            case _ if kind == CONTINUATION:
                self.story.failed("garbage", time.time(), detail="a head of more than 16 KiB")
        if kind in (DATA, HEADERS) and flags & END_STREAM and one is not None:
            del self.open[stream]
            self.answered(one)

    def set(self, payload: bytes) -> None:
        """Takes the node's SETTINGS."""
        for at in range(0, len(payload), 6):
            key, value = int.from_bytes(payload[at : at + 2]), payload[at + 2 : at + 6]
            if key == _INITIAL_WINDOW:
                change = int.from_bytes(value) - self.first_window
                self.first_window += change
                for one in self.open.values():
                    one.window += change
        self.transport.write(frame(SETTINGS, ACK, 0))

    def widen(self, one: Asked | None, stream: int, more: int) -> None:
        """Takes a WINDOW_UPDATE."""
        if not stream:
            self.window += more
        elif one is not None:
            one.window += more

    def was_reset(self, stream: int, one: Asked, code: int) -> None:
        """A stream was reset."""
        del self.open[stream]
        if code == _REFUSED:
            self.story.again["REFUSED_STREAM"] += 1
        else:
            self.failed("short" if one.status else "stream", one, code)

    def go_away(self, last: int, code: int) -> None:
        """The node takes no further streams; those above the last one were not processed."""
        if code != _NO_ERROR:
            self.story.failed("goaway", time.time(), status=code)
        if not self.goes_away:
            self.story.closes += 1
        self.goes_away = True
        for stream in [one for one in self.open if one > last]:
            del self.open[stream]
            self.story.again["GOAWAY"] += 1
        self.over.set()

    def answered(self, one: Asked) -> None:
        """An answer has come to its end."""
        story, wanted = self.story, one.kind.answer
        story.worst = max(story.worst, time.time() - one.began)
        story.answers[f"{self.way} to {ENDPOINTS[one.kind.path[:4]]}"] += 1
        if one.status != 200:
            self.failed("status", one, one.status)
        elif one.got != wanted:
            self.failed(
                "garbage", one, detail=f"{one.kind.path}: {one.got} of {wanted} octets {one.text!r}"
            )

    def failed(self, kind: str, one: Asked, status: int = 0, detail: str = "") -> None:
        """A request failed."""
        text = detail or f"{one.kind.path}, {one.got} octets: {one.text!r}"
        self.story.failed(kind, one.began, status=status, detail=f"{self.way} {text}")

    def look(self) -> None:
        """Gives up what has waited for too long."""
        late = time.time() - _HUNG_S
        for one in [one for one in self.open.values() if one.began < late]:
            self.failed("hung", one)
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended; what was asked for on it is lost."""
        kind = "closed" if exc is None else "reset"
        for one in self.open.values():
            self.failed(kind, one, detail=f"{one.kind.path} {exc!r}")
        self.open.clear()
        self.goes_away = True
        self.over.set()
        self.story.live.discard(self)


ENDPOINTS = {"/one": "HTTP/1.1", "/two": "HTTP/2"}


def status_of(block: bytes) -> int:
    """The status in a block of fields; it is the first of them. 0 = not read."""
    at = 0
    while block[at] & 0xE0 == 0x20:  # a new size of the table
        at += 1
    if block[at] & 0x80:
        return _STATUSES.get(block[at], 0)
    length = block[at + 1]
    text = block[at + 2 : at + 2 + (length & 0x7F)]
    return int(text) if not length & 0x80 else _huffman_digits(text)


def _huffman_digits(text: bytes) -> int:
    """A number of three digits in the code of RFC 7541, appendix B."""
    bits, found = f"{int.from_bytes(text):0{len(text) * 8}b}", ""
    while len(found) < 3:
        size = 5 if bits.startswith("000") else 6
        code = int(bits[:size], 2)
        found += str(code if size == 5 else code - 0b011001 + 3)
        bits = bits[size:]
    return int(found)


async def keep(story: Story, port: int, context: ssl.SSLContext | None) -> None:
    """Holds one connection after the other until the time is over."""
    loop, way = asyncio.get_running_loop(), "TLS" if context else "h2c"
    name = HOST if context else None
    while (began := time.time()) < story.end:
        try:
            _, one = await loop.create_connection(
                lambda: Connection(story, way), "127.0.0.1", port, ssl=context, server_hostname=name
            )
        except OSError as error:
            refused = isinstance(error, ConnectionRefusedError)
            other = "handshake" if context else "connect"
            story.failed("refused" if refused else other, began, detail=repr(error))
            await asyncio.sleep(_AGAIN_S)
            continue
        await one.over.wait()


async def look(story: Story) -> None:
    """Gives up what hangs, until the last connection has ended."""
    while time.time() < story.end or story.live:
        await asyncio.sleep(_LOOK_S)
        for one in list(story.live):
            one.look()


async def load(seconds: float, port: int, secure: tuple[int, str] | None) -> None:
    """Asks for so many seconds, and prints what happened."""
    story = Story(end=time.time() + seconds)
    context = None
    if secure:
        context = ssl.create_default_context(cafile=secure[1])
        context.set_alpn_protocols(["h2"])
    async with asyncio.TaskGroup() as group:
        group.create_task(look(story))
        for turn in range(CONNECTIONS):
            if context and secure and turn % 2:
                group.create_task(keep(story, secure[0], context))
            else:
                group.create_task(keep(story, port, None))
    sys.stdout.write(json.dumps(story.whole(seconds)) + "\n")


def _main() -> None:
    seconds, port, *secure = sys.argv[1:]
    pair = (int(secure[0]), secure[1]) if secure else None
    asyncio.run(load(float(seconds), int(port), pair))


if __name__ == "__main__":
    _main()
