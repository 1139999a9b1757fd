"""WebSockets over HTTP/2 between two nodes; client and server are others and speak HTTP/1.1."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_port
from running_node import RunningNode, config
from told import until_metric
from waiting import DEADLINE_S, until
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve


def shout(connection: ServerConnection) -> None:
    """Returns every message in capitals."""
    for message in connection:
        connection.send(message.upper())


@contextmanager
def shouting() -> Iterator[int]:
    """A server on a port of its own, which it yields."""
    with serve(shout, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


def test_a_websocket_passes_over_http2_between_two_nodes(folder: Path, port: int) -> None:
    second = free_port()
    behind = config(second, "127.0.0.1:1")
    behind = behind.replace("[listeners.web]\n", "[listeners.web]\nh2c = true\n")
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    front = config(port, f"127.0.0.1:{second}") + 'protocol = "h2c"\n'
    with (
        shouting() as server,
        RunningNode(folder / "b", behind.replace('127.0.0.1:1"', f'127.0.0.1:{server}"')) as last,
        RunningNode(folder / "a", front) as first,
    ):
        last.until_ready()
        first.until_ready()
        with connect(f"ws://127.0.0.1:{port}/chat", open_timeout=DEADLINE_S) as client:
            large = "x" * 300_000
            for message in ("hello", large, "again"):
                client.send(message)
                assert client.recv(timeout=DEADLINE_S) == message.upper()
            until_metric(last, "headgate_http2_connections", 1)
            until_metric(first, "headgate_tunnels", 1)
            until_metric(last, "headgate_tunnels", 1)
        until(lambda: first.metric("headgate_tunnels") == 0, "the tunnel is over")
        until(lambda: last.metric("headgate_tunnels") == 0, "the other tunnel is over")
