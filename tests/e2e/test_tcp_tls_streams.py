"""Random streams through TLS on either side or both: every byte, every end, and resets anywhere."""

import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

import pytest
from running_node import RunningNode
from stream_end import Plain, Secured
from tls_authority import Authority, Pair
from tls_client import trusting
from waiting import DEADLINE_S, until

SESSIONS = 120
RESETS = 60
AT_ONCE = 6
PIECES = 64
"""MiB that the sockets of two connections do not hold."""
SIDES = {"terminated": (True, False), "originated": (False, True), "both": (True, True)}
"""Whether the client, and the endpoint, have TLS."""


class Sent:
    """How much of a stream has arrived: its sender may wait for that."""

    def __init__(self) -> None:
        self._arrived = 0
        self._changed = threading.Condition()

    def arrived(self, n: int) -> None:
        """Notes bytes."""
        with self._changed:
            self._arrived += n
            self._changed.notify_all()

    def wait(self, n: int) -> None:
        """Waits until so many have arrived."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._arrived >= n, DEADLINE_S), "it stalls"


@dataclass
class Plan:
    """What one end sends, in which pieces, and after which of them it waits for their arrival."""

    pieces: list[bytes]
    stalls: set[int]
    waits_for_other: bool
    """Whether it ends its half only once the other one has ended."""
    sent: Sent = field(default_factory=Sent)

    @classmethod
    def draw(cls, rng: random.Random) -> "Plan":
        """A random one."""
        most = rng.choice([0, 1, 20, 400, 17_000, 120_000])
        count = rng.randint(0, 8) if most else 0
        pieces = [rng.randbytes(rng.randint(1, most)) for _ in range(count)]
        stalls = {i for i in range(count) if rng.random() < 0.3}
        return cls(pieces, stalls, waits_for_other=False)

    @property
    def whole(self) -> bytes:
        """Everything that it sends."""
        return b"".join(self.pieces)


def play(end: Plain, own: Plan, other: Plan, first: bytes = b"") -> bytes:
    """Sends a plan and receives the other's at the same time; returns what came."""
    got: list[bytes] = []
    over = threading.Event()

    def receive() -> None:
        with suppress(OSError):
            while data := end.receive():
                got.append(data)
                other.sent.arrived(len(data))
            over.set()

    reader = threading.Thread(target=receive, daemon=True)
    reader.start()
    n = 0
    for i, piece in enumerate(own.pieces):
        end.send(first + piece)
        first, n = b"", n + len(piece)
        if i in own.stalls:
            own.sent.wait(n)
    if first:
        end.send(first)
    if own.waits_for_other:
        assert over.wait(DEADLINE_S), "the other end ends"
    end.end()
    reader.join(DEADLINE_S)
    if not over.is_set():
        raise ConnectionResetError("the stream did not end as streams do")
    return b"".join(got)


class Endpoint:
    """A server that plays its part of the session whose number comes first."""

    def __init__(self, pair: Pair | None) -> None:
        self.plans: dict[int, tuple[Plan, Plan]] = {}
        self.got: dict[int, bytes] = {}
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if pair else None
        if pair and self._context:
            self._context.load_cert_chain(pair.cert_file, pair.key_file)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one: socket.socket) -> None:
        with one, suppress(OSError):
            end = Secured(one, self._context, is_server=True) if self._context else Plain(one)
            head = b""
            while len(head) < 4:
                data = end.receive()
                if not data:
                    return
                head += data
            (number,) = struct.unpack("!I", head[:4])
            client, own = self.plans[number]
            client.sent.arrived(len(head) - 4)
            self.got[number] = head[4:] + play(end, own, client)

    def close(self) -> None:
        """Ends it."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Lazy(Endpoint):
    """A server that does nothing by itself."""

    def _accept(self) -> None:
        pass

    def next(self) -> Plain:
        """Its end of the next connection."""
        one, _ = self._listener.accept()
        return Secured(one, self._context, is_server=True) if self._context else Plain(one)


E = TypeVar("E", bound=Endpoint)


@dataclass
class Way(Generic[E]):
    """A way through a node, and its two ends."""

    node: RunningNode
    endpoint: E
    connect: Callable[[], Plain]


@contextmanager
def way(folder: Path, port: int, sides: tuple[bool, bool], kind: type[E]) -> Iterator[Way[E]]:
    """A node between clients and an endpoint, each of them with TLS or without."""
    authority = Authority(folder)
    pair = authority.issue("a", "a.example", "127.0.0.1")
    endpoint = kind(pair if sides[1] else None)
    text = f"""
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}
[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "tcp"
{'tls = { default_certificate = "a" }' if sides[0] else ""}
[tcp_routes.raw]
listeners = "raw"
upstream = "raw"
[upstreams.raw]
endpoints = ["127.0.0.1:{endpoint.port}"]
{f'tls = {{ ca_file = "{authority.ca_file}" }}' if sides[1] else ""}
{pair.toml("a")}"""
    context = trusting(authority.ca_file)

    def connect() -> Plain:
        one = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        return Secured(one, context, "a.example") if sides[0] else Plain(one)

    try:
        with RunningNode(folder, text).until_ready() as node:
            yield Way(node, endpoint, connect)
    finally:
        endpoint.close()


@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_random_streams_arrive_as_they_were_sent(
    folder: Path, port: int, sides: tuple[bool, bool]
) -> None:
    with way(folder, port, sides, Endpoint) as through:

        def session(number: int) -> None:
            rng = random.Random(number)  # noqa: S311 - to be had again
            client, server = Plan.draw(rng), Plan.draw(rng)
            match rng.randrange(3):
                case 0:
                    client.waits_for_other = True
                case 1:
                    server.waits_for_other = True
            through.endpoint.plans[number] = (client, server)
            with through.connect() as end:
                assert play(end, client, server, struct.pack("!I", number)) == server.whole
            until(lambda: number in through.endpoint.got, "the endpoint is done")
            assert through.endpoint.got.pop(number) == client.whole

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for done in [pool.submit(session, number) for number in range(SESSIONS)]:
                done.result(DEADLINE_S)
        whole = 'headgate_tcp_closed_total{{reason="{}-end"}}'.format

        def ended() -> float:
            return sum(through.node.metric(whole(side)) for side in ("client", "endpoint"))

        until(lambda: ended() == SESSIONS, "every session ended whole")
        until(lambda: through.node.metric("headgate_tcp_connections") == 0, "none is left")


@pytest.mark.parametrize("is_from_client", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_a_side_is_not_read_while_the_other_takes_nothing(
    folder: Path, port: int, sides: tuple[bool, bool], is_from_client: bool
) -> None:
    piece = random.Random(1).randbytes(1 << 20)  # noqa: S311 - the same each time
    with (
        way(folder, port, sides, Lazy) as through,
        through.connect() as client,
        through.endpoint.next() as server,
    ):
        source, sink = (client, server) if is_from_client else (server, client)

        def send() -> None:
            for _ in range(PIECES):
                source.send(piece)
            source.end()

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        word = "received" if is_from_client else "sent"
        seen = [0.0]

        def rests() -> bool:
            seen.append(through.node.metric(f"proxy_bytes_{word}_total"))
            return seen[-1] > 0 and len(seen) > 5 and len(set(seen[-5:])) == 1

        # On a slow machine it may only seem to rest, and there is less to see.
        until(rests, "it is not read any more")
        assert seen[-1] < PIECES << 20
        digest = sha256()
        while data := sink.receive():
            digest.update(data)
        sender.join(DEADLINE_S)
        assert digest.digest() == sha256(piece * PIECES).digest()


def descriptors(pid: int) -> int:
    """How many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_resets_anywhere_leave_nothing_behind(
    folder: Path, port: int, sides: tuple[bool, bool]
) -> None:
    with way(folder, port, sides, Endpoint) as through:
        pid = through.node.data_plane()[1]

        def session(number: int) -> None:
            rng = random.Random(number)  # noqa: S311 - to be had again
            client, server = Plan.draw(rng), Plan.draw(rng)
            client.stalls.clear()
            server.stalls.clear()
            through.endpoint.plans[number] = (client, server)
            with suppress(OSError), through.connect() as end:
                end.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.send(struct.pack("!I", number))
                for piece in client.pieces[: rng.randint(0, 4)]:
                    end.send(piece)
                if rng.random() < 0.5 and server.pieces:
                    end.receive()

        def rest() -> bool:
            return through.node.metric("headgate_tcp_connections") == 0

        session(0)
        until(rest, "the first one is gone")
        before = descriptors(pid)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for done in [pool.submit(session, number) for number in range(1, RESETS)]:
                done.result(DEADLINE_S)
        until(rest, "none is left")
        # Each worker keeps a few pipes for later; a leak would be one for each session.
        until(lambda: descriptors(pid) < before + RESETS // 2, "descriptors are given back")
