"""`limits.response_buffer`, on both engines: a client that takes nothing keeps no worker of the
backend."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from peers import peer
from running_node import RunningNode, config, get
from told import until_metric
from waiting import DEADLINE_S

LARGE = 12 * 1024 * 1024
"""More than the sockets of both sides hold, and less than is collected."""
RECEIVED = 64 * 1024
"""What the slow client's socket holds: without a bound, the kernel lets it grow with the answer."""


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
