"""`limits.response_buffer`, on both engines: a client that takes nothing keeps no worker of the
backend."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from peers import peer
from running_node import RunningNode, config, get
from socket_server import SocketServer
from told import until_metric
from waiting import DEADLINE_S

LARGE = 12 * 1024 * 1024
"""More than the sockets of both sides hold, and less than is collected."""
RECEIVED = 64 * 1024
"""What the slow client's socket holds: without a bound, the kernel lets it grow with the answer."""


COLLECTED = 1 << 20
QUIET_S = 2.0
"""An endpoint whose bytes nobody takes for so long is held up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"x" * LARGE if self.path == "/large" else b"small"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def backend() -> Iterator[str]:
    """The address of a server that has one worker."""
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_a_client_that_takes_nothing_keeps_no_worker(
    folder: Path, port: int, backend: str, engine: str
) -> None:
    if engine == "nginx":
        peer("nginx")
    collects = 'upstream = "app"\nlimits = { response_buffer = "16MiB" }'
    text = config(port, backend).replace('upstream = "app"', collects)
    with RunningNode(folder, text, "--engine", engine).until_ready() as node:
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED)
            slow.settimeout(DEADLINE_S)
            slow.connect(("127.0.0.1", port))
            slow.sendall(b"GET /large HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
            slow.recv(1, socket.MSG_PEEK)
            assert get(port) == (200, b"small")
            answer = b"".join(iter(lambda: slow.recv(1 << 20), b""))
        assert answer.endswith(b"\r\n\r\n" + b"x" * LARGE)
        if engine == "native":
            until_metric(node, "headgate_responses_collected_total", 1)
            until_metric(node, "headgate_pending_bytes", 0)


class _Endless(SocketServer):
    """Answers with bytes without end, until nobody takes more of them."""

    def __init__(self) -> None:
        self.sent: Future[int] = Future()
        super().__init__()

    def serve(self, link: socket.socket) -> None:
        """Counts the bytes that were taken, up to twice what may be."""
        sent = 0
        link.settimeout(DEADLINE_S)
        link.recv(65536)
        link.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        with suppress(TimeoutError):
            while sent < 2 * _most():
                # Below what is collected, a quiet node is one that the machine holds up.
                link.settimeout(DEADLINE_S if sent < COLLECTED else QUIET_S)
                sent += link.send(b"x" * 65536)
        self.sent.set_result(sent)


def _most() -> int:
    """What is collected, and what the sockets of the two connections may hold besides, bytes."""
    received, sent = (
        int(Path(f"/proc/sys/net/ipv4/tcp_{name}").read_text().split()[2])
        for name in ("rmem", "wmem")
    )
    return COLLECTED + received + 2 * sent


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_an_answer_without_end_is_collected_up_to_the_limit_alone(
    folder: Path, port: int, engine: str
) -> None:
    if engine == "nginx":
        peer("nginx")
    collects = 'upstream = "app"\nlimits = { response_buffer = "1MiB" }'
    with _Endless() as endpoint:
        text = config(port, endpoint.address).replace('upstream = "app"', collects)
        with RunningNode(folder, text, "--engine", engine).until_ready(), socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED)
            slow.connect(("127.0.0.1", port))
            slow.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            assert COLLECTED <= endpoint.sent.result(4 * DEADLINE_S) <= _most()
