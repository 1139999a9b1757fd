"""Random streams, plain and through TLS on either side or both: bytes, ends, and resets."""

import random
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from random_streams import AT_ONCE, SIDES, Endpoint, Lazy, Plan, sessions, way
from waiting import DEADLINE_S, until

SESSIONS = 120
RESETS = 60
PIECES = 64
"""MiB that the sockets of two connections do not hold."""


@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_random_streams_arrive_as_they_were_sent(
    folder: Path, port: int, sides: tuple[bool, bool]
) -> None:
    with way(folder, port, sides, Endpoint) as through:
        sessions(through, range(SESSIONS))


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
