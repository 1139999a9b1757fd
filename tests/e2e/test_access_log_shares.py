"""Routes whose requests are in the access log in part, or not at all: on both engines."""

from pathlib import Path

from access_log import AccessLog
from nginx_engine import NginxEngine
from peers import peer
from ports import free_port
from running_node import RunningNode, Upstream, get

CONFIG = """
[node]
access_log = {{ format = "json", sink = {{ path = "{folder}/access.log" }} }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.usual]
match = [{{ path = {{ prefix = "/usual" }} }}]
respond = {{ status = 200 }}

[routes.quiet]
match = [{{ path = {{ prefix = "/quiet" }} }}]
access_log = false
respond = {{ status = 200 }}

[routes.some]
match = [{{ path = {{ prefix = "/some" }} }}]
access_log = 50
respond = {{ status = 200 }}

[routes.failing]
match = [{{ path = {{ prefix = "/failing" }} }}]
access_log = 1
respond = {{ status = 503 }}
"""
ASKED = 100


def ask(port: int) -> None:
    """Asks every route."""
    for number in range(ASKED):
        for route in ("usual", "quiet", "some", "failing"):
            get(port, f"/{route}/{number}", host="a.example")


def check(folder: Path) -> None:
    """Waits for the lines of each route and counts them."""
    log = AccessLog(folder / "access.log")
    for route in ("usual", "failing"):
        assert len(log.lines(ASKED, route=route)) == ASKED
    # Of 100 tosses fewer than 10 or more than 90 are one side: less than once in 10^16 runs.
    assert len(log.lines(10, route="some")) <= 90
    assert "quiet" not in {line["route"] for line in log.lines(2 * ASKED)}


def written(folder: Path, port: int) -> str:
    """The config, in a folder that nginx's workers may write to."""
    return CONFIG.format(folder=folder, port=port)


def test_the_native_engine_leaves_lines_out(folder: Path, port: int, one: Upstream) -> None:
    text = written(folder, port).replace("[node]\n", '[node]\nadmin = "off"\n')
    with RunningNode(folder, text).until_ready():
        ask(port)
        check(folder)


def test_nginx_leaves_lines_out(folder: Path) -> None:
    peer("nginx")
    port = free_port()
    config = folder / "headgate.toml"
    config.write_text(written(folder, port))
    with NginxEngine(config, folder):
        ask(port)
        check(folder)
