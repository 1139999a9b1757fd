"""Endpoints that answer with any status, and clients with any method, do not make a page grow."""

import http.client
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from http_server import serving_http
from running_node import RunningNode, config
from told import until_metric
from waiting import DEADLINE_S, until

METHODS = ("GET", "POST", "BREW", "WHEN", "PROPFIND")
STATUSES = range(200, 600)


class _Hostile(BaseHTTPRequestHandler):
    """Answers with the status that the path says, to any method."""

    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        status = int(self.path.lstrip("/"))
        self.send_response(status)
        if status not in (204, 304):
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def hostile() -> Iterator[int]:
    with serving_http(_Hostile) as port:
        yield port


def ask(port: int) -> int:
    """Asks for every status by each method; returns how many were asked."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    asked = 0
    for status in STATUSES:
        for method in METHODS if status % 50 == 0 else METHODS[:1]:
            connection.request(method, f"/{status}", headers={"host": "a.example"})
            response = connection.getresponse()
            response.read()
            assert response.status == status
            asked += 1
    connection.close()
    return asked


def test_the_page_of_a_node_stays_bounded(folder: Path, port: int, hostile: int) -> None:
    with RunningNode(folder, config(port, f"127.0.0.1:{hostile}")).until_ready() as node:
        asked = ask(port)

        def counted() -> dict[tuple[str, str], int]:
            page = node.admin("GET", "/metrics")[1].decode()
            line = r'^http_requests_total\{method="(\w+)",status="(\w+)",upstream="app"\} (\d+)$'
            return {(m, s): int(n) for m, s, n in re.findall(line, page, re.M)}

        until(lambda: sum(counted().values()) == asked, "every request is counted")
        found = counted()
        assert {method for method, _ in found} == {"GET", "POST", "OTHER"}
        assert {status for _, status in found} >= {"2xx", "3xx", "4xx", "5xx", "200", "404", "503"}
        assert len({status for _, status in found}) <= 64
        folded = sum(count for (_, status), count in found.items() if status.endswith("xx"))
        until_metric(node, 'headgate_metrics_folded_total{family="http_requests"}', folded)
