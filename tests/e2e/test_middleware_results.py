"""What came of middlewares, as the metrics count it."""

import http.client
from hashlib import sha256
from pathlib import Path

from running_node import RunningNode, Upstream, config
from told import until_metric
from waiting import DEADLINE_S

TEXT = """
[middlewares.office]
ip_access = {{ allow = ["127.0.0.0/8"] }}

[middlewares.closed]
ip_access = {{ deny = ["127.0.0.0/8"] }}

[middlewares.partners.api_key]
keys = {{ shop = "sha256:{key}" }}

[middlewares.pages.cors]
allow_origins = ["https://app.example.com"]

[middlewares.small.compress]
algorithms = ["gzip"]
min_size = "1KiB"
"""
ROUTE = """
[routes.{name}]
hosts = ["a.example"]
match = [{{ path = {{ exact = "/{name}" }} }}]
middlewares = ["{name}"]
{action}
"""
KEY = "a-key-of-this-test-alone"
ASKED = {"access-control-request-method": "GET"}
REQUESTS = [
    ("office", {}, "ip_access", "pass"),
    ("closed", {}, "ip_access", "denied"),
    ("partners", {"x-api-key": KEY}, "api_key", "pass"),
    ("partners", {}, "api_key", "missing"),
    ("partners", {"x-api-key": "guessed"}, "api_key", "refused"),
    ("pages", {"origin": "https://app.example.com"}, "cors", "pass"),
    ("pages", {"origin": "https://app.example.com", **ASKED}, "cors", "preflight"),
    ("pages", {"origin": "https://evil.test", **ASKED}, "cors", "refused"),
    ("small", {"accept-encoding": "gzip"}, "compress", "unsuited"),
]


def ask(port: int, name: str, headers: dict[str, str]) -> None:
    """One request; a preflight if it has the lines of one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    method = "OPTIONS" if ASKED.items() <= headers.items() else "GET"
    try:
        connection.request(method, f"/{name}", headers={"host": "a.example", **headers})
        connection.getresponse().read()
    finally:
        connection.close()


def test_each_request_is_counted_with_what_came_of_it(
    folder: Path, port: int, one: Upstream
) -> None:
    key = sha256(KEY.encode()).hexdigest()
    actions = {"small": 'upstream = "app"'}
    names = dict.fromkeys(name for name, *_ in REQUESTS)
    routes = [
        ROUTE.format(name=name, action=actions.get(name, 'respond = { body = "in" }'))
        for name in names
    ]
    text = config(port, one.address) + TEXT.format(key=key) + "".join(routes)
    with RunningNode(folder, text).until_ready() as node:
        for name, headers, kind, result in REQUESTS:
            labels = f'kind="{kind}",middleware="{name}",result="{result}"'
            line = f"headgate_middleware_results_total{{{labels}}}"
            until_metric(node, line, 0)
            ask(port, name, headers)
            until_metric(node, line, 1)
        explained = node.command("explain", "GET", f"http://a.example:{port}/closed")
        assert explained.returncode == 0
        closed = 'kind="ip_access",middleware="closed",result="denied"'
        until_metric(node, f"headgate_middleware_results_total{{{closed}}}", 1)
