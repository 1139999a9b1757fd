"""A real Prometheus scrapes a node, and the rules and the dashboard in `deploy/` say something."""

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dashboard import queries
from peers import peer
from ports import free_port
from running_node import RunningNode, Upstream, config, get
from waiting import DEADLINE_S, until

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "headgate.rules.yml"


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """One that scrapes a node every second; its URL."""
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "headgate", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(settings))
    at = f"127.0.0.1:{free_port()}"
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(peer("prometheus")),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={at}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield f"http://{at}"
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def asked(url: str, query: str) -> list[tuple[dict[str, str], float]]:
    """The samples of a query now; none while Prometheus does not answer."""
    whole = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(whole, timeout=DEADLINE_S) as answer:  # noqa: S310 - loopback
            found = json.load(answer)
    except OSError as error:
        assert getattr(error, "code", 503) == 503, f"{query}: {error}"
        return []
    assert found["status"] == "success", query
    return [(one["metric"], float(one["value"][1])) for one in found["data"]["result"]]


def test_the_rules_and_the_dashboard_show_what_a_node_does(tmp_path: Path) -> None:
    upstream, port, admin = Upstream("a"), free_port(), free_port()
    text = config(port, upstream.address).replace(
        'admin = "off"', f'admin = "off"\nmetrics = "127.0.0.1:{admin}"'
    )
    with (
        RunningNode(tmp_path, text).until_ready(),
        prometheus(tmp_path, f"127.0.0.1:{admin}") as url,
    ):

        def has(query: str) -> bool:
            get(port)
            return any(value > 0 for _, value in asked(url, query))

        for query in (
            "headgate:requests:rate5m",
            'headgate:upstream_requests:rate5m{upstream="app"}',
            "headgate:request_duration_seconds:p99_5m",
            'up{job="headgate"}',
        ):
            until(lambda: has(query), query)  # noqa: B023 - called at once

        def shown() -> int:
            reals = [
                query.replace("$__rate_interval", "1m").replace("$instance", ".*")
                for query in queries()
            ]
            return sum(bool(asked(url, real)) for real in reals)

        # A scrape that comes late leaves nothing to see until the next one.
        until(lambda: shown() > len(queries()) / 2, "most of the dashboard")
        assert asked(url, 'ALERTS{alertstate="firing"}') == []
    upstream.close()
