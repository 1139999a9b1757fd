"""Routes whose requests are in the access log in part, or not at all: on both engines."""

import threading
from pathlib import Path

from access_log import AccessLog
from nginx_engine import NginxEngine
from peers import peer
from ports import free_port
from running_node import RunningNode, Upstream, get
from waiting import DEADLINE_S

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

[routes.missing]
match = [{{ path = {{ prefix = "/missing" }} }}]
access_log = {{ statuses = [404, "410-499"] }}
respond = {{ status = 404 }}

[routes.passing]
match = [{{ path = {{ prefix = "/passing" }} }}]
access_log = {{ statuses = [404, "410-499"] }}
respond = {{ status = 409 }}

[routes.fast]
match = [{{ path = {{ prefix = "/fast" }} }}]
access_log = {{ slower_than = "10m" }}
respond = {{ status = 200 }}

[routes.slow]
match = [{{ path = {{ prefix = "/slow" }} }}]
access_log = {{ statuses = [], slower_than = "100ms" }}
upstream = "one"

[upstreams.one]
endpoints = ["{one}"]

[routes.failing]
match = [{{ path = {{ prefix = "/failing" }} }}]
access_log = 1
respond = {{ status = 503 }}
"""
ASKED = 100
WHOLE = ("usual", "failing", "missing")
"""The routes that log everything they answer here."""
NONE = ("quiet", "passing", "fast")


def ask(port: int, one: Upstream) -> None:
    """Asks every route."""
    slow = threading.Thread(target=get, args=(port, "/slow", "a.example"), daemon=True)
    slow.start()
    # Only now: an endpoint that was released before the request comes answers at once.
    assert one.waiting.wait(DEADLINE_S)
    threading.Timer(0.3, one.release.set).start()
    slow.join(DEADLINE_S)
    for number in range(ASKED):
        for route in (*WHOLE, *NONE, "some"):
            get(port, f"/{route}/{number}", host="a.example")


def check(folder: Path) -> None:
    """Waits for the lines of each route and counts them."""
    log = AccessLog(folder / "access.log")
    for route in WHOLE:
        assert len(log.lines(ASKED, route=route)) == ASKED
    (slow,) = log.lines(1, route="slow")
    assert int(str(slow["total_us"])) >= 100_000
    # Of 100 tosses fewer than 10 or more than 90 are one side: less than once in 10^16 runs.
    assert len(log.lines(10, route="some")) <= 90
    assert not {line["route"] for line in log.lines(len(WHOLE) * ASKED)} & set(NONE)


def written(folder: Path, port: int, one: Upstream) -> str:
    """The config, in a folder that nginx's workers may write to."""
    return CONFIG.format(folder=folder, port=port, one=one.address)


def test_the_native_engine_leaves_lines_out(folder: Path, port: int, one: Upstream) -> None:
    text = written(folder, port, one).replace("[node]\n", '[node]\nadmin = "off"\n')
    with RunningNode(folder, text).until_ready():
        ask(port, one)
        check(folder)


def test_nginx_leaves_lines_out(folder: Path, one: Upstream) -> None:
    peer("nginx")
    port = free_port()
    config = folder / "headgate.toml"
    config.write_text(written(folder, port, one))
    with NginxEngine(config, folder):
        ask(port, one)
        check(folder)
