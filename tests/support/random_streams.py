"""Random streams through a node: what each end sends, in pieces, with stalls and half-closes."""

import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from running_node import RunningNode
from socket_server import SocketServer
from stream_end import Plain, Secured
from tls_authority import Authority, Pair
from tls_client import trusting
from waiting import DEADLINE_S, until

AT_ONCE = 6
SIDES = {
    "plain": (False, False),
    "terminated": (True, False),
    "originated": (False, True),
    "both": (True, True),
}
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


class Endpoint(SocketServer):
    """A server that plays its part of the session whose number comes first."""

    def __init__(self, pair: Pair | None) -> None:
        self.plans: dict[int, tuple[Plan, Plan]] = {}
        self.got: dict[int, bytes] = {}
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if pair else None
        if pair and self._context:
            self._context.load_cert_chain(pair.cert_file, pair.key_file)
        super().__init__()

    def serve(self, link: socket.socket) -> None:
        """Reads the number, and plays."""
        end = Secured(link, self._context, is_server=True) if self._context else Plain(link)
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


def session(through: Way[Endpoint], number: int) -> int:
    """Plays the session of that number and compares both streams; returns their bytes."""
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
    del through.endpoint.plans[number]
    return len(client.whole) + len(server.whole)


def sessions(through: Way[Endpoint], numbers: range) -> int:
    """Plays sessions, several at a time, and waits until the node has ended each; returns bytes."""
    whole = 'headgate_tcp_closed_total{{reason="{}-end"}}'.format

    def ended() -> float:
        return sum(through.node.metric(whole(side)) for side in ("client", "endpoint"))

    before = ended()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        total = sum(pool.map(lambda number: session(through, number), numbers))
    until(lambda: ended() - before == len(numbers), "every session ended whole")
    until(lambda: through.node.metric("headgate_tcp_connections") == 0, "none is left")
    return total
