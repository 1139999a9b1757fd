"""The dashboard in `deploy/grafana`, drawn from what Prometheus scraped of a node under load.

`python tests/drills/dashboard_run.py` runs a node with three upstreams for four minutes: clients
over HTTP/1.1 and HTTP/2, one that asks more than its limit, endpoints that die, hang and come back,
a config that is refused. Then every query of the dashboard goes to Prometheus, and `--picture FILE`
has the panels as one SVG. No Grafana takes part. It ends with 1 if a panel that should have
something to show has not.
"""

import argparse
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final

from drill_parts import ROOT, Endpoint
from http_server import serving_http
from peers import peer
from ports import free_port
from running_node import RunningNode, get
from tls_authority import Authority

sys.path.insert(0, str(ROOT / "tools"))

from dashboard import ROWS, Panel
from dashboard_plot import Graph, Span, picture

SCRAPED_S: Final = 5
RATE_INTERVAL: Final = f"{SCRAPED_S * 4}s"
"""As Grafana chooses it: four scrapes."""
QUIET: Final = {"Overload"}
"""Panels that stay at zero here."""
TEXT: Final = """
[node]
admin = "off"
metrics = "127.0.0.1:{metrics}"
workers = 2
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[listeners.tls]
address = "127.0.0.1:{tls}"
default = true
tls = {{ default_certificate = "site" }}

{certificate}

[middlewares.few.rate_limit]
rate = "20/s"

[routes.search]
match = [{{ path = {{ prefix = "/search" }} }}]
upstream = "search"

[routes.search.timeouts]
per_try = "300ms"

[routes.api]
match = [{{ path = {{ prefix = "/api" }} }}]
middlewares = ["few"]
upstream = "shop"

[routes.reports]
match = [{{ path = {{ prefix = "/reports" }} }}]
upstream = "reports"

[routes.shop]
upstream = "shop"

[upstreams.shop]
endpoints = [{shop}]
health_check = {{ path = "/", interval = "2s" }}

[upstreams.search]
endpoints = [{search}]

[upstreams.search.circuit_breaker]
failures = 5
open_for = "3s"

[upstreams.reports]
endpoints = ["127.0.0.1:{reports}"]
limits = {{ connections = 2 }}
"""
PROMETHEUS: Final = """
global: {{scrape_interval: {scraped}s, evaluation_interval: {scraped}s}}
rule_files: ["{rules}"]
scrape_configs: [{{job_name: headgate, static_configs: [{{targets: ["127.0.0.1:{metrics}"]}}]}}]
"""


class Reports(BaseHTTPRequestHandler):
    """Takes a twentieth of a second for each answer."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        threading.Event().wait(0.05)
        body = b"r" * 2_000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def running(command: list[str], log: Path) -> Iterator[None]:
    """A program, until the block ends."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def clients(ports: dict[str, int], seconds: float) -> list[list[str]]:
    """The load: requests a second by each of some connections."""
    h2load, length = str(peer("h2load")), f"-D{seconds:.0f}"
    plain, tls = f"http://127.0.0.1:{ports['port']}", f"https://127.0.0.1:{ports['tls']}"
    return [
        [h2load, "--h1", "-c20", "--rps=15", length, f"{plain}/"],
        [h2load, "-c6", "-m4", "--rps=20", length, f"{tls}/"],
        [h2load, "--h1", "-c10", "--rps=8", length, f"{plain}/search?q=a"],
        [h2load, "--h1", "-c3", "--rps=10", length, f"{plain}/api/orders"],
        [h2load, "--h1", "-c6", "--rps=8", length, f"{plain}/reports"],
    ]


def play(node: RunningNode, text: str, shop: list[Endpoint], search: list[Endpoint]) -> None:
    """The four minutes."""
    wait = threading.Event().wait
    wait(50)
    shop[0].kill()
    wait(20)
    shop[0].revive()
    wait(20)
    node.write(text.replace('upstream = "shop"', 'upstream = "shops"'))
    node.command("reload")
    wait(10)
    node.write(text)
    node.command("reload")
    wait(10)
    search[0].stop()
    wait(20)
    search[0].go_on()
    wait(20)
    for one in search:
        one.kill()
    wait(20)
    for one in search:
        one.revive()
    wait(20)
    node.write(text.replace("20/s", "25/s"))
    node.command("reload")
    wait(50)


def answered(url: str, path: str, **query: object) -> list[dict[str, object]]:
    """What Prometheus finds. Raises RuntimeError if it does not understand the query."""
    whole = f"{url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(whole, timeout=60) as answer:  # noqa: S310 - loopback
        found = json.load(answer)
    if found["status"] != "success":
        raise RuntimeError(f"{query}: {found}")
    result = found["data"]["result"]
    assert isinstance(result, list)
    return result


def graph(url: str, panel: Panel, begun: float, span: Span) -> Graph:
    """A panel with its data, as Grafana asks for it."""
    series = []
    for legend, query in panel.series:
        real = query.replace("$__rate_interval", RATE_INTERVAL).replace("$instance", ".*")
        times = {"start": begun, "end": begun + span.whole, "step": span.step}
        for one in answered(url, "query_range", query=real, **times):
            labels, values = one["metric"], one["values"]
            assert isinstance(labels, dict)
            assert isinstance(values, list)
            name = re.sub(r"{{(\w+)}}", lambda m: labels.get(m[1], ""), legend)  # noqa: B023
            samples = [(float(t) - begun, float(v)) for t, v in values if v != "NaN"]
            if samples:
                series.append((name or "(none)", samples))
    return Graph(panel.title, panel.unit, series)


def drawn(url: str, begun: float, span: Span) -> tuple[str, list[str]]:
    """The picture, and the panels that show nothing but zeros."""
    rows = [
        (title, [graph(url, panel, begun, span) for panel in row]) for title, row in ROWS.items()
    ]
    graphs = [one for _, row in rows for one in row]
    empty = [one.title for one in graphs if not any(v for _, s in one.series for _, v in s)]
    caption = (
        f"headgate: {len(graphs)} panels, {sum(len(one.series) for one in graphs)} series of one "
        f"node, {span.whole:.0f} s, scraped every {SCRAPED_S} s"
    )
    return picture(rows, span, caption), empty


def tried(folder: Path, stack: contextlib.ExitStack) -> tuple[str, list[str]]:
    """Runs everything."""
    ports = {name: free_port() for name in ("port", "tls", "metrics")}
    shop, search = [Endpoint() for _ in range(3)], [Endpoint() for _ in range(2)]
    for one in (*shop, *search):
        stack.callback(one.kill)
    pair = Authority(folder).issue("site", "127.0.0.1")
    text = TEXT.format(
        **ports,
        certificate=pair.toml("site"),
        shop=", ".join(f'"{one.address}"' for one in shop),
        search=", ".join(f'"{one.address}"' for one in search),
        reports=stack.enter_context(serving_http(Reports)),
    )
    node = stack.enter_context(RunningNode(folder, text, "--no-watch").until_ready())
    rules = ROOT / "deploy" / "prometheus" / "headgate.rules.yml"
    settings, at = folder / "prometheus.yml", f"127.0.0.1:{free_port()}"
    settings.write_text(PROMETHEUS.format(scraped=SCRAPED_S, rules=rules, metrics=ports["metrics"]))
    words = [f"--config.file={settings}", f"--storage.tsdb.path={folder}/data"]
    command = [str(peer("prometheus")), *words, f"--web.listen-address={at}"]
    stack.enter_context(running(command, folder / "prometheus.log"))
    if get(ports["port"])[0] != 200:
        raise RuntimeError("the node does not serve")
    begun = time.time()
    for index, command in enumerate(clients(ports, 600)):
        stack.enter_context(running(command, folder / f"client-{index}.log"))
    play(node, text, shop, search)
    return drawn(f"http://{at}", begun, Span(time.time() - begun, SCRAPED_S))


def main() -> int:
    """Runs it, and returns how the drill ends."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--picture", type=Path, default=Path("dashboard.svg"), help="the file")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hg-")))
        folder.chmod(0o755)
        svg, empty = tried(folder, stack)
    chosen.picture.write_text(svg)
    sys.stdout.write(f"{chosen.picture}: {len(svg)} bytes; panels without a value: {empty}\n")
    return 1 if set(empty) - QUIET else 0


if __name__ == "__main__":
    sys.exit(main())
