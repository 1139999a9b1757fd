"""`GET /tap` and `headgate tap`: live requests of a running node, by filter, without secrets."""

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from peers import peer
from ports import free_port
from running_node import HEADGATE, RunningNode, Upstream
from waiting import DEADLINE_S, until

from headgate.cli import calls

CONFIG = """
[node]
admin = "127.0.0.1:{admin}"

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.app]
match = [{{ path = {{ prefix = "/app" }} }}]
upstream = "app"

[routes.shop]
match = [{{ path = {{ prefix = "/shop" }} }}]
access_log = false
middlewares = [{{ api_key = {{ query = "ticket", keys = {{ ann = ["{sum}"] }} }} }}]
respond = {{ status = 200 }}

[upstreams.app]
endpoints = ["{app}"]
"""
SUM = "sha256:" + "0" * 64
MOST = 8


@pytest.fixture
def node(folder: Path, port: int, one: Upstream) -> Iterator[RunningNode]:
    text = CONFIG.format(admin=free_port(), port=port, app=one.address, sum=SUM)
    with RunningNode(folder, text).until_ready() as running:
        yield running


def send(port: int, path: str, **headers: str) -> int:
    """The status of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers={"host": "a.example"} | named)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


@contextmanager
def tapping(node: RunningNode, query: str = "") -> Iterator[http.client.HTTPResponse]:
    """An open tap: requests that begin now are shown."""
    asked = calls.connection(node.state)
    try:
        asked.request("GET", f"/tap?{query}")
        yield asked.getresponse()
    finally:
        asked.close()


def line_of(tap: http.client.HTTPResponse) -> dict[str, object]:
    """The next line."""
    found = json.loads(tap.readline())
    assert isinstance(found, dict)
    return found


def open_taps(node: RunningNode) -> str:
    """The value of the metric."""
    page = node.admin("GET", "/metrics")[1].decode()
    return next(one.split()[1] for one in page.splitlines() if one.startswith("headgate_taps "))


def refused(node: RunningNode, query: str) -> tuple[int, str]:
    status, body = node.admin("GET", f"/tap?{query}")
    return status, json.loads(body)["error"]


def test_requests_are_shown_as_they_end_by_filter(node: RunningNode, port: int) -> None:
    with tapping(node, "status=4xx") as failing, tapping(node, "route=app") as of_app:
        assert failing.status == 200
        assert send(port, "/app/one?b=1") == 200
        assert send(port, "/missing") == 404
        line = line_of(of_app)
        assert (line["target"], line["upstream"], line["host"]) == (
            "/app/one?b=1",
            "app",
            "a.example",
        )
        assert "headers" not in line
        assert line_of(failing)["target"] == "/missing"


def test_secrets_are_hidden_and_headers_come_on_request(node: RunningNode, port: int) -> None:
    with tapping(node, "headers=true&path=/shop") as tap:
        # The route is not in the access log.
        send(port, "/shop?ticket=abcd&n=1", authorization="Basic abcd", x_note="token=abcd")
        line = line_of(tap)
        assert "abcd" not in json.dumps(line)
        assert line["target"] == "/shop?ticket=(secret)&n=1"
        headers = {name: value for name, value in line["headers"]}  # type: ignore[attr-defined]
        assert headers["authorization"] == "(secret)"
        assert headers["host"] == "a.example"


def test_a_tap_ends_when_its_client_goes_also_without_requests(node: RunningNode) -> None:
    with tapping(node), tapping(node):
        until(lambda: open_taps(node) == "2", "both taps")
    until(lambda: open_taps(node) == "0", "the end of the taps")


def test_there_are_a_few_taps_at_once(node: RunningNode) -> None:
    held: list[http.client.HTTPConnection] = []
    try:
        for _ in range(MOST):
            asked = calls.connection(node.state)
            held.append(asked)
            asked.request("GET", "/tap")
            assert asked.getresponse().status == 200
        assert refused(node, "") == (429, "at most 8 taps are open at once")
    finally:
        for asked in held:
            asked.close()


def test_what_is_no_filter_is_refused_by_name(node: RunningNode) -> None:
    status, error = refused(node, "route=ap")
    assert (status, error) == (400, 'the served config has no route "ap"; write "app" or "shop"')
    assert refused(node, "stauts=5xx")[0] == 400


def test_the_open_port_shows_nothing(node: RunningNode) -> None:
    address = node.config.read_text().partition('admin = "')[2].partition('"')[0]
    connection = http.client.HTTPConnection(address, timeout=DEADLINE_S)
    try:
        connection.request("GET", "/tap")
        assert connection.getresponse().status == 401
    finally:
        connection.close()


def run_tap(
    node: RunningNode, *arguments: str, meanwhile: Callable[[], object]
) -> tuple[int, str, str]:
    """Runs the command until it ends; asks again and again meanwhile."""
    command = [str(HEADGATE), "tap", "--state-dir", str(node.state), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:

        def is_over() -> bool:
            meanwhile()
            return process.poll() is not None

        try:
            until(is_over, "the end of headgate tap")
        finally:
            process.kill()
        out, err = process.communicate()
    return process.returncode, out.decode(), err.decode()


def test_the_command_prints_what_people_read(node: RunningNode, port: int) -> None:
    code, out, err = run_tap(
        node,
        "--path",
        "/app",
        "--headers",
        "-n",
        "1",
        meanwhile=lambda: send(port, "/app", cookie="c"),
    )
    assert (code, err) == (0, "")
    first, *headers = out.splitlines()
    assert " 127.0.0.1 GET http://a.example/app 200 " in first
    assert "    cookie: (secret)" in headers


def test_the_command_says_why_there_is_no_tap(node: RunningNode) -> None:
    code, out, err = run_tap(node, "--status", "9xx", meanwhile=lambda: None)
    assert (code, out) == (1, "")
    assert err == 'headgate: "9xx" is not a status; write such as "404", "5xx" or "400-499"\n'


def test_a_tap_ends_with_its_data_plane(node: RunningNode) -> None:
    supervisor = calls.supervisor(node.state, "status")
    with tapping(node) as tap:
        plane = supervisor["dataplane"]
        assert isinstance(plane, dict)
        os.kill(plane["pid"], signal.SIGKILL)
        assert tap.read() == b""


def test_nginx_has_no_taps(folder: Path, port: int) -> None:
    peer("nginx")
    text = CONFIG.format(admin=free_port(), port=port, app="127.0.0.1:1", sum=SUM)
    shop, app = text.index("[routes.shop]"), text.index("[upstreams.app]")
    text = (text[:shop] + text[app:]).replace("[node]\n", '[node]\nengine = "nginx"\n')
    with RunningNode(folder, text).until_ready() as running:
        said = "the nginx engine has no taps; read its access log (node.access_log)"
        assert refused(running, "") == (422, said)
