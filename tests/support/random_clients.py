"""Random UDP routes by networks of clients, and whether a node agrees with explain about them."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath
from random import Random

from datagram_servers import Echo
from waiting import DEADLINE_S

from headgate.compile.answers import answer
from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.providers.file.disk import DiskFiles

LETTERS = "abcd"
CLIENTS = 40
NETWORKS = ("", "127.0.0.0/8", "127.0.0.0/24", "127.0.0.0/28", "127.0.0.8/29", "127.0.0.9")


@contextmanager
def random_routes(seed: int, port: int) -> Iterator[str]:
    """A config of routes, each to a server that says its letter."""
    random = Random(seed)  # noqa: S311 - to be had again
    text = (
        f'[node]\nadmin = "off"\n[listeners.raw]\naddress = "127.0.0.1:{port}"\nprotocol = "udp"\n'
    )
    with ExitStack() as stack:
        for letter, network in zip(LETTERS, random.sample(NETWORKS, len(LETTERS)), strict=True):
            echo = Echo(letter.encode())
            stack.callback(echo.close)
            text += f'[udp_routes.{letter}]\nlisteners = "raw"\nupstream = "{letter}"\n'
            text += f'client = "{network}"\n' if network else ""
            text += f'[upstreams.{letter}]\nendpoints = ["127.0.0.1:{echo.port}"]\n'
        yield text


def agree(config: Path, port: int, seed: int) -> None:
    """Asserts that each client is answered by the server of the route that explain names, and that
    those for which it names none are not.
    """
    loaded = load([PurePath(config)], DiskFiles(), {})
    assert loaded.plan is not None, loaded.diagnostics
    routing = Routing(loaded.plan)
    random = Random(seed)  # noqa: S311 - to be had again
    with ExitStack() as stack:
        lost = []
        for _ in range(CLIENTS):
            source = f"127.0.{random.choice((0, 0, 0, 1))}.{random.randint(1, 20)}"
            url = f"udp://127.0.0.1:{port}"
            found = answer(routing, Question(url=url, client=source), lambda *_: "")
            client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            client.settimeout(DEADLINE_S)
            client.bind((source, 0))
            client.connect(("127.0.0.1", port))
            client.send(b"?")
            if found.won is None:
                lost.append(client)
            else:
                assert client.recv(9) == f"{found.won.route}?".encode(), source
        for client in lost:
            client.setblocking(False)
            assert is_silent(client)


def is_silent(client: socket.socket) -> bool:
    """Whether nothing has come for a client."""
    try:
        client.recv(9)
    except BlockingIOError:
        return True
    return False
