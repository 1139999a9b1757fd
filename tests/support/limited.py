"""Requests against a limit, each on a connection of its own."""

import http.client
from collections import Counter

from running_node import RunningNode
from waiting import DEADLINE_S


def ask(port: int, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    """One request; its body is read."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request("GET", path, headers={"host": "a.example", **headers})
        response = connection.getresponse()
        response.read()
        return response
    finally:
        connection.close()


def statuses(port: int, requests: int, path: str = "/", **headers: str) -> Counter[int]:
    """How many of the answers had which status."""
    return Counter(ask(port, path, **headers).status for _ in range(requests))


def counted(node: RunningNode, kind: str, result: str) -> float:
    """How many requests the metrics show with this result of the middleware `few`."""
    labels = f'kind="{kind}",middleware="few",result="{result}"'
    line = f"headgate_middleware_results_total{{{labels}}} "
    page = node.admin("GET", "/metrics")[1].decode()
    found = [row for row in page.splitlines() if row.startswith(line)]
    return float(found[0].rsplit(" ", 1)[1]) if found else 0.0
