"""Requests that a route refuses get one answer of both engines, and one reason in the log."""

import http.client
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from access_log import AccessLog
from peers import peer
from running_node import RunningNode, Upstream
from waiting import DEADLINE_S, until

TEXT = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}
access_log = {{ sink = {{ path = "{log}" }} }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[middlewares.marked.response_headers]
set = {{ x-marked = "${{method}} ${{route}}" }}

[upstreams.app]
endpoints = ["{upstream}"]
"""
ROUTE = """
[routes.{name}]
match = [{{ path = {{ prefix = "/{name}" }} }}]
middlewares = ["marked", {{ {middleware} }}]
limits = {{ body = "1KiB" }}
upstream = "app"
"""
HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
ROUTES = {
    "closed": 'ip_access = { deny = ["127.0.0.0/8"] }',
    "office": 'ip_access = { allow = ["192.0.2.0/24"] }',
    "staff": f'basic_auth = {{ users = ["alice:{HASH}"], realm = "staff" }}',
    "pages": 'cors = { allow_origins = ["https://app.example.com"] }',
    "tenant": 'rewrite = { host = "${header:x-tenant}" }',
    "scarce": 'rate_limit = { rate = { requests = 1, per = "1m" }, burst = 1, key = "route" }',
    "slow": 'concurrency_limit = { requests = 1, key = "route" }',
    "large": "response_headers = { set = { x-second = '${path}' } }",
}
WRONG = {"authorization": "Basic " + b64encode(b"alice:guessed").decode()}
PREFLIGHT = {"origin": "https://evil.test", "access-control-request-method": "GET"}


class Case(NamedTuple):
    route: str
    method: str
    headers: dict[str, str]
    status: int
    reason: str
    told: str
    """The end of `Proxy-Status`; empty = none."""


DENIED = 'http_request_denied; details="{}"'
CASES = (
    Case("closed", "GET", {}, 403, "ip-access", DENIED.format("this address may not pass here")),
    Case("office", "GET", {}, 403, "ip-access", DENIED.format("this address may not pass here")),
    Case("staff", "GET", {}, 401, "basic-auth-missing", ""),
    Case("staff", "GET", WRONG, 401, "basic-auth-refused", ""),
    Case("pages", "OPTIONS", PREFLIGHT, 403, "cors-origin", ""),
    Case(
        "tenant",
        "GET",
        {"x-tenant": "a b"},
        400,
        "rewrite-host",
        'http_request_error; details="the rewritten host is not valid"',
    ),
    Case(
        "scarce",
        "GET",
        {},
        429,
        "rate-limit",
        DENIED.format("more requests than this route allows"),
    ),
    Case(
        "slow",
        "GET",
        {},
        429,
        "concurrency-limit",
        DENIED.format("as many requests as this route allows are in progress"),
    ),
    Case(
        "large",
        "POST",
        {"content-length": "5000"},
        413,
        "body-too-large",
        DENIED.format("request body larger than allowed here"),
    ),
)


@pytest.fixture(params=["native", "nginx"])
def log(request: pytest.FixtureRequest, folder: Path, port: int, one: Upstream) -> Iterator[Path]:
    if request.param == "nginx":
        peer("nginx")
        folder.chmod(0o755)
    path = folder / "access.json"
    text = TEXT.format(log=path, port=port, upstream=one.address)
    text += "".join(ROUTE.format(name=name, middleware=one) for name, one in ROUTES.items())
    with RunningNode(folder, text, "--engine", request.param) as node:
        node.until_ready()
        yield path


def ask(port: int, case: Case, path: str = "/") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request(case.method, f"/{case.route}{path}", headers=case.headers)
        answer = connection.getresponse()
        lines = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, lines, answer.read()
    finally:
        connection.close()


def test_refusals_are_alike(log: Path, port: int, one: Upstream) -> None:
    ask(port, CASES[6])  # the one that passes
    held = threading.Thread(target=ask, args=(port, CASES[7], ""), daemon=True)
    one.waiting.clear()
    held.start()
    until(one.waiting.is_set, "a request in progress")
    for case in CASES:
        status, lines, body = ask(port, case)
        assert status == case.status, (case, body)
        told = f"headgate; error={case.told}" if case.told else None
        assert (case.route, lines.get("proxy-status")) == (case.route, told)
        assert lines["x-marked"] == f"{case.method} {case.route}"
        assert lines["content-type"] == "text/plain; charset=utf-8"
        assert body.startswith(f"{status} ".encode())
        assert ("retry-after" in lines) == (status == 429)
        assert ("www-authenticate" in lines) == (status == 401)
        assert ("x-second" in lines) == (case.route == "large")
    one.release.set()
    held.join(DEADLINE_S)
    wanted = Counter((case.route, case.status, case.reason) for case in CASES)
    written = AccessLog(log).lines(len(CASES) + 2)  # and of the two that pass
    refused = [one for one in written if one["status"] != 200]
    assert Counter((one["route"], one["status"], one["reason"]) for one in refused) == wanted
