"""Routes of the Lua balancer that do more than forward: whose endpoints they ask, and what they
answer where there are none.
"""

import contextlib
import http.client
from base64 import b64encode
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from access_log import AccessLog
from http_server import serving_http
from lua_nginx import takes_lua
from running_node import RunningNode, Upstream, get
from waiting import DEADLINE_S, until

#: Of the password `x`.
HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"

NODE = """
[node]
admin = "off"
engine = "nginx"
nginx = {{ endpoints = "lua" }}
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[node.access_log]
sink = {{ path = "{log}" }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true
"""

TEXT = (
    NODE
    + """
[middlewares.marked.response_headers]
set = {{ x-marked = "yes" }}

[routes.plain]
match = [{{ path = {{ prefix = "/plain" }} }}]
middlewares = ["marked"]
upstream = "app"

[routes.bounded]
match = [{{ path = {{ prefix = "/bounded" }} }}]
limits = {{ body = "1KiB" }}
middlewares = ["marked"]
upstream = "app"

[routes.known]
match = [{{ path = {{ prefix = "/known" }} }}]
middlewares = ["marked", {{ basic_auth = {{ users = ["bob:{hash}"] }} }}]
upstream = "app"

[routes.asked]
match = [{{ path = {{ prefix = "/asked" }} }}]
middlewares = ["marked", {{ forward_auth = {{ upstream = "door", path = "/" }} }}]
upstream = "app"

[routes.tried]
match = [{{ path = {{ prefix = "/tried" }} }}]
middlewares = ["marked"]
upstream = "app"
retry = {{ retries = 1 }}
limits = {{ body = "1KiB" }}

[upstreams.door]
endpoints = ["{door}"]

[upstreams.app]
endpoints = [{{ address = "{door}", weight = 0 }}]
"""
)

SUBREQUESTS = (
    NODE
    + """
[routes.asked]
match = [{{ path = {{ prefix = "/asked" }} }}]
middlewares = [{{ forward_auth = {{ upstream = "door", path = "/may" }} }}]
upstream = "app"

[routes.copied]
match = [{{ path = {{ prefix = "/copied" }} }}]
mirror = {{ upstream = "door" }}
upstream = "app"

[upstreams.door]
endpoints = ["{door}"]

[upstreams.app]
endpoints = ["{app}"]
"""
)

NO_ENDPOINT = "no endpoint can be used now"


@pytest.mark.usefixtures("probed")
def test_each_route_says_why_it_cannot_be_served(folder: Path, port: int, one: Upstream) -> None:
    takes_lua()
    log = AccessLog(folder / "asked.log")
    text = TEXT.format(port=port, log=log.path, hash=HASH, door=one.address)
    with RunningNode(folder, text) as node:
        node.until_ready()
        paths = ("plain", "bounded", "known", "tried", "asked")
        found = {path: answer(port, path) for path in paths}
        reasons = {path: log.line(route=path)["reason"] for path in paths}
    assert found == dict.fromkeys(paths, (503, True, "yes", "destination_unavailable"))
    assert reasons == dict.fromkeys(paths, "no-endpoint")


@pytest.mark.usefixtures("probed")
def test_a_subrequest_goes_to_its_own_upstream(folder: Path, port: int, one: Upstream) -> None:
    takes_lua()
    asked: list[str] = []

    class Door(BaseHTTPRequestHandler):
        """Lets nobody pass."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(403)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving_http(Door) as door:
        log = folder / "asked.log"
        text = SUBREQUESTS.format(port=port, log=log, door=f"127.0.0.1:{door}", app=one.address)
        with RunningNode(folder, text) as node:
            node.until_ready()
            assert get(port, "/asked/x")[0] == 403
            assert asked == ["/may"]
            assert [get(port, "/copied/x") for _ in range(4)] == [(200, b"one")] * 4
            until(lambda: asked[1:] == ["/copied/x"] * 4, "the copies")


def answer(port: int, path: str) -> tuple[int, bool, str | None, str | None]:
    """The status, whether the text says why, and what two of its headers say."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    with contextlib.closing(connection):
        user = b64encode(b"bob:x").decode()
        connection.request("GET", f"/{path}", headers={"authorization": f"Basic {user}"})
        came = connection.getresponse()
        says = NO_ENDPOINT in came.read().decode()
        told = came.getheader("proxy-status", "")
        error = "destination_unavailable"
        return came.status, says, came.getheader("x-marked"), error if error in told else told
