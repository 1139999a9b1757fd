"""What the locations of routes say of bodies, on a real nginx."""

import json
import tempfile
from pathlib import Path
from typing import Literal

import pytest
from lua_nginx import takes_lua
from nginx_engine import NginxEngine
from ports import free_ports
from waiting import until
from wire import Wire

LARGE = """
[node]
access_log = {{ format = "json", sink = {{ path = "{folder}/asked.log" }} }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true
limits = {{ body = "10B" }}

[middlewares]
line.response_headers.set.x-of = "${{route}}"
password.basic_auth.users = ["admin:{hash}"]
service.forward_auth = {{ upstream = "u", path = "/ask" }}

[routes.plain]
match = [{{ path.prefix = "/plain" }}]
middlewares = ["line"]
upstream = "u"

[routes.tried]
match = [{{ path.prefix = "/tried" }}]
middlewares = ["line"]
upstream = "u"
retry = {{}}

[routes.password]
match = [{{ path.prefix = "/password" }}]
middlewares = ["line", "password"]
upstream = "u"

[routes.service]
match = [{{ path.prefix = "/service" }}]
middlewares = ["line", "service"]
upstream = "u"

[upstreams.u]
endpoints = ["127.0.0.1:{gone}"]
"""
PAGE = """
[middlewares.page.error_pages]
pages = [{ statuses = [404, 502], body = "page" }]

[routes.page]
match = [{ path.prefix = "/page" }]
middlewares = ["line", "page"]
upstream = "u"
"""
HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
ROUTES = ["plain", "tried", "password", "service"]


@pytest.mark.parametrize(
    ("endpoints", "routes", "more"), [("reload", [*ROUTES, "page"], PAGE), ("lua", ROUTES, "")]
)
def test_a_body_that_is_too_large_gets_the_lines_of_its_route(
    endpoints: Literal["reload", "lua"], routes: list[str], more: str
) -> None:
    if endpoints == "lua":
        takes_lua()
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        folder = Path(name)
        port, gone = free_ports(2)
        file = folder / "headgate.toml"
        file.write_text(LARGE.format(folder=folder, port=port, gone=gone, hash=HASH) + more)
        with NginxEngine(file, folder, endpoints):
            for route in routes:
                head = f"POST /{route} HTTP/1.1\r\nHost: a.example\r\nContent-Length: 11\r\n\r\n"
                with Wire(port) as wire:
                    answer = wire.ask(head.encode())
                assert (answer.status, answer.header("x-of")) == (413, route)
            log = folder / "asked.log"
            until(lambda: log.exists() and log.read_bytes().count(b"\n") == len(routes), "lines")
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert [(line["route"], line["reason"]) for line in lines] == [
            (route, "body-too-large") for route in routes
        ]
