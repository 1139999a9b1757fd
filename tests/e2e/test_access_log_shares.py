"""Routes whose requests are in the access log in part, or not at all: on both engines."""

import json
from pathlib import Path

from nginx_engine import NginxEngine
from peers import peer
from ports import free_port
from running_node import RunningNode, Upstream, get
from waiting import until

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
    log = folder / "access.log"

    def lines() -> list[dict[str, object]]:
        whole = log.read_text().rpartition("\n")[0] if log.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]

    def count(route: str) -> int:
        return sum(line.get("route", "") == route for line in lines())

    # Workers write by themselves: the line of the last request may come before others.
    until(lambda: (count("usual"), count("failing")) == (ASKED, ASKED), "the lines of two routes")
    # Of 100 tosses fewer than 10 or more than 90 are one side: less than once in 10^16 runs.
    until(lambda: count("some") >= 10, "the lines of a share")
    assert (count("quiet"), count("some") <= 90) == (0, True)


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
