"""Endpoints of tests end with their connections (headgate/testing/server.py says why)."""

from http.client import HTTPConnection, RemoteDisconnected
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from http_server import serving_http

TESTS = Path(__file__).parents[1]


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_a_connection_that_was_kept_ends_with_its_server() -> None:
    with serving_http(Hello) as port:
        link = HTTPConnection("127.0.0.1", port, timeout=45)
        for _ in range(2):
            link.request("GET", "/")
            link.getresponse().read()
    link.auto_open = 0
    with pytest.raises((RemoteDisconnected, ConnectionError)):
        link.request("GET", "/")
        link.getresponse()
    link.close()


def test_no_test_has_a_server_that_leaves_connections_open() -> None:
    call = "ThreadingHTTPServer" + "("
    tests = [*TESTS.rglob("test_*.py"), *TESTS.glob("support/*.py")]
    assert [path for path in tests if call in path.read_text()] == []
