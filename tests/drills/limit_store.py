"""What two nodes admit of one key under load while their store is killed, hung, filled, and mended.

`python tests/drills/limit_store.py` runs a real Redis (`--program valkey-server` for another one),
two nodes that share a rate limit through it, and clients that ask for far more than the limit. Each
policy goes through the same faults. The table has, for each state that both nodes said they were
in, and for the time until they said so, what they admitted together beside the bound of
docs/howto/rate-limits.md. While the nodes change, either may be in either state, so that the bounds
of both states are added. It ends with 1 if one of them was exceeded.
"""

import argparse
import contextlib
import http.client
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

import drill_parts  # noqa: F401 - it makes the tests' support importable
from ports import free_port
from redis_server import RedisServer
from running_node import RunningNode
from waiting import DEADLINE_S, until

NODES, RATE, BURST = 2, 50, 20
POLICIES: Final = ("share", "open", "closed")
TEXT: Final = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[node.limit_store]
url = "redis://127.0.0.1:{store}"
nodes = {nodes}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[middlewares.few.rate_limit]
rate = "{rate}/s"
burst = {burst}
key = "all"
across = "nodes"
when_away = "{policy}"

[routes.all]
middlewares = ["few"]
respond = {{ body = "in" }}
"""


class Request(NamedTuple):
    """One that was answered."""

    sent: float
    answered: float
    status: int


class Load:
    """Requests one after the other on kept connections to all nodes."""

    def __init__(self, ports: list[int], clients: int) -> None:
        self.done: list[Request] = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(port,)) for port in ports * clients
        ]

    def __enter__(self) -> Self:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._threads:
            one.join()

    def _run(self, port: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        with contextlib.closing(link):
            while not self._over.is_set():
                sent = time.monotonic()
                link.request("GET", "/")
                answer = link.getresponse()
                answer.read()
                self.done.append(Request(sent, time.monotonic(), answer.status))


class Window(NamedTuple):
    """A time, and the states that both nodes could be in."""

    name: str
    states: tuple[str, ...]
    begun: float
    ended: float

    def most(self, policy: str) -> float | None:
        """What all nodes may admit; None for anything. Each state has a bound of its own."""
        seconds = self.ended - self.begun
        bounds = {
            "counts": RATE * seconds + BURST + NODES * (BURST // NODES),
            "share": RATE * seconds + BURST,
            "closed": 0.0,
        }
        states = [policy if state == "away" else state for state in self.states]
        return None if "open" in states else sum(bounds[state] for state in states)


def full(store: RedisServer) -> None:
    """Leaves the store no memory for another key."""
    store.talk("CONFIG", "SET", "maxmemory", "1")


def roomy(store: RedisServer) -> None:
    """Gives it its memory back."""
    store.talk("CONFIG", "SET", "maxmemory", "0")


STEPS: Final[tuple[tuple[str, str, Callable[[RedisServer], None]], ...]] = (
    ("killed", "away", RedisServer.kill),
    ("started again", "counts", RedisServer.start),
    ("hung", "away", RedisServer.hang),
    ("going on", "counts", RedisServer.go_on),
    ("full", "away", full),
    ("with room again", "counts", roomy),
)


def until_all(nodes: list[RunningNode], state: str) -> None:
    """Waits until every node says so."""
    wanted = 1 if state == "away" else 0
    for node in nodes:
        until(lambda: node.metric("headgate_limit_store_away") == wanted, state)  # noqa: B023


def held(name: str, state: str, seconds: float) -> Window:
    """Lets the load go on."""
    begun = time.monotonic()
    threading.Event().wait(seconds)
    return Window(name, (state,), begun, time.monotonic())


def played(nodes: list[RunningNode], store: RedisServer, seconds: float) -> Iterator[Window]:
    """Every fault and its end, with the load at work."""
    before = "counts"
    yield held("at the beginning", before, seconds)
    for name, state, change in STEPS:
        begun = time.monotonic()
        change(store)
        until_all(nodes, state)
        yield Window(f"{name}: until both say so", (before, state), begun, time.monotonic())
        yield held(name, state, seconds)
        before = state


def rows(policy: str, windows: list[Window], done: list[Request]) -> Iterator[tuple[str, bool]]:
    """Lines of the table, and whether each keeps to its bound."""
    for one in windows:
        inside = [r for r in done if one.begun <= r.sent and r.answered <= one.ended]
        admitted = sum(r.status == http.client.OK for r in inside)
        refused = sum(r.status == http.client.SERVICE_UNAVAILABLE for r in inside)
        longest_ms = max((r.answered - r.sent for r in inside), default=0.0) * 1000
        most = one.most(policy)
        figures = (
            f"{one.ended - one.begun:.2f} s",
            str(len(inside)),
            str(refused),
            str(admitted),
            "anything" if most is None else f"{most:.0f}",
            f"{longest_ms:.0f} ms",
        )
        line = " | ".join((f"`{policy}`", one.name, *figures))
        yield f"| {line} |", most is None or admitted <= most


def tried(policy: str, program: str, seconds: float, clients: int) -> Iterator[tuple[str, bool]]:
    """The rows of one policy."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hg-")))
        store = stack.enter_context(RedisServer(folder, program))
        ports, nodes = [free_port() for _ in range(NODES)], []
        for index, port in enumerate(ports):
            place = folder / str(index)
            place.mkdir()
            text = TEXT.format(
                store=store.port, nodes=NODES, port=port, rate=RATE, burst=BURST, policy=policy
            )
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
            nodes.append(stack.enter_context(RunningNode(place, text).until_ready()))
        until_all(nodes, "counts")
        with Load(ports, clients) as load:
            windows = list(played(nodes, store, seconds))
        yield from rows(policy, windows, load.done)


def main() -> int:
    """Tries every policy, and returns how the drill ends."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--program", default="redis-server", help="what the store is")
    parser.add_argument("--seconds", type=float, default=5, help="how long each state lasts")
    parser.add_argument("--clients", type=int, default=3, help="how many ask each node")
    chosen = parser.parse_args()
    write, exceeded = sys.stdout.write, 0
    write("| policy | the store is | for | requests | 503 | admitted | at most | slowest |\n")
    write("|---|---|---|---|---|---|---|---|\n")
    for policy in POLICIES:
        found = list(tried(policy, chosen.program, chosen.seconds, chosen.clients))
        for line, keeps in found:
            write(f"{line}{'' if keeps else ' EXCEEDED'}\n")
            exceeded += not keeps
    write(f"\n{exceeded} bounds exceeded.\n")
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
