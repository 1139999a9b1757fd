"""Our codec between two of nghttp2: what one side sends is what the other one gets, and nghttp2
finds nothing wrong with any frame or block of HPACK in between."""

import ctypes
import os
import random
import selectors
import socket
import string
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nghttp2 import NO_INDEX, Message, Session, library
from peers import unavailable
from running_node import RunningNode, config
from told import until_metric, until_metrics_say
from waiting import DEADLINE_S

CONNECTIONS = int(os.environ.get("NGHTTP2_CONNECTIONS", "12"))
SEED = int(os.environ.get("NGHTTP2_SEED", "1"))
REQUESTS = 30
AT_ONCE = 8
OURS = "x-r-"
"""What the names of fields begin with that must pass as they are."""
VALUES = string.ascii_letters + string.digits + " !\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"
LENGTHS = (0, 1, 3, 20, 100, 900)
BODIES = (0, 0, 1, 600, 17_000, 150_000)


@pytest.fixture
def lib() -> ctypes.CDLL:
    found = library()
    if found is None:
        unavailable("libnghttp2 is missing: sudo make system-deps")
    return found


def fields(rng: random.Random) -> list[tuple[str, str, int]]:
    """Fields of any size; names and values come again, so that the tables are used."""
    made = []
    for _ in range(rng.randrange(20)):
        name = f"{OURS}{rng.randrange(12)}"
        text = "".join(rng.choices(VALUES, k=rng.choice(LENGTHS))).strip()
        value = rng.choice((text, f"again {rng.randrange(4)}"))
        made.append((name, value, rng.choice((0, 0, NO_INDEX))))
    return made


def assert_same(message: Message, sent: list[tuple[str, str, int]], body: bytes) -> None:
    """Fails unless a message is what was sent."""
    assert [one for one in message.fields if one[0].startswith(OURS)] == [one[:2] for one in sent]
    assert message.body == body


class World:
    """A client of nghttp2 at a node, and servers of nghttp2 behind it."""

    def __init__(self, lib: ctypes.CDLL, behind: socket.socket, port: int, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - made-up traffic, not a secret
        self.lib, self.behind = lib, behind
        link = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        self.client = Session(lib, link, self.rng, is_server=False)
        self.servers: list[Session] = []
        self.sent: dict[int, tuple[list[tuple[str, str, int]], bytes]] = {}
        self.answers: dict[str, tuple[list[tuple[str, str, int]], bytes]] = {}
        self.got: dict[str, Message] = {}
        self.compared = 0

    def close(self) -> None:
        """Ends all sessions."""
        for session in (self.client, *self.servers):
            session.close()

    def ask(self, number: int) -> None:
        """Sends one more request."""
        body = self.rng.randbytes(self.rng.choice(BODIES))
        more = fields(self.rng)
        head = {":method": "POST", ":scheme": "http", ":authority": "a.example"}
        pseudo = [(name, value, 0) for name, value in head.items()]
        stream = self.client.request([*pseudo, (":path", f"/{number}", 0), *more], body)
        self.sent[stream] = (more, body)

    def turn(self) -> None:
        """Moves all that can be moved."""
        try:
            link, _ = self.behind.accept()
            self.servers.append(Session(self.lib, link, self.rng, is_server=True))
        except BlockingIOError:
            pass
        assert self.client.turn(), "the node closed the connection"
        for server in list(self.servers):
            if not server.turn():
                self.servers.remove(server)
                server.close()
            self.answer(server)

    def answer(self, server: Session) -> None:
        """Answers the requests that have come in as a whole."""
        for stream, message in server.messages.items():
            path = dict(message.fields).get(":path", "")
            if message.is_whole and path not in self.got:
                self.got[path] = message
                more, body = fields(self.rng), self.rng.randbytes(self.rng.choice(BODIES))
                self.answers[path] = (more, body)
                server.respond(stream, [(":status", "200", 0), *more], body)

    def compare(self) -> None:
        """Compares what each side sent with what the other one got."""
        done = [s for s in self.sent if (m := self.client.messages.get(s)) and m.is_whole]
        for stream in done:
            (asked, body), message = self.sent.pop(stream), self.client.messages.pop(stream)
            path = f"/{stream // 2}"
            there, (answered, back) = self.got[path], self.answers[path]
            assert_same(there, asked, body)
            assert message.fields[0] == (":status", "200")
            assert_same(message, answered, back)
            self.compared += 1


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A socket for connections from the node."""
    with socket.create_server(("127.0.0.1", 0)) as behind:
        behind.setblocking(False)
        yield behind


def test_what_nghttp2_sends_reaches_nghttp2_behind_the_node(
    folder: Path, port: int, lib: ctypes.CDLL
) -> None:
    with listening() as behind:
        upstream = f"127.0.0.1:{behind.getsockname()[1]}"
        text = config(port, upstream) + 'protocol = "h2c"\n'
        text = text.replace("[listeners.web]\n", "[listeners.web]\nh2c = true\n")
        with RunningNode(folder, text).until_ready() as node:
            for seed in range(SEED, SEED + CONNECTIONS):
                run(World(lib, behind, port, seed), seed)
            opened = "headgate_http2_upstream_streams_opened_total"
            until_metric(node, opened, CONNECTIONS * REQUESTS)
            page = until_metrics_say(node)
            assert "headgate_http2_closed_total{" not in page, page


def run(world: World, seed: int) -> None:
    """Sends all requests of a connection and compares what came of them."""
    deadline = time.monotonic() + DEADLINE_S
    asked = 0
    try:
        with selectors.DefaultSelector() as waiting:
            while world.compared < REQUESTS:
                assert time.monotonic() < deadline, f"seed {seed}: {world.compared} compared"
                while asked < REQUESTS and len(world.sent) < AT_ONCE:
                    world.ask(asked)
                    asked += 1
                world.turn()
                world.compare()
                for link in (world.behind, world.client.link, *(s.link for s in world.servers)):
                    if link not in waiting.get_map():
                        waiting.register(link, selectors.EVENT_READ)
                waiting.select(0.005)
    finally:
        world.close()
