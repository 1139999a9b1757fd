"""A master's metrics on a port of their own."""

import re
import ssl
import urllib.request
from pathlib import Path

from master_operator import Operator, W
from master_process import master


def test_a_master_serves_its_metrics_if_it_is_asked_to(tmp_path: Path) -> None:
    options = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")
    with master(tmp_path, *options) as running:
        found = re.search(r"http://127\.0\.0\.1:\d+/metrics", running.text())
        assert found is not None, running.text()
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        with urllib.request.urlopen(found[0], timeout=45) as answer:  # noqa: S310 - a URL of ours
            assert answer.headers["content-type"].startswith("application/openmetrics-text")
            page = answer.read().decode()
        assert page.endswith("# EOF\n")
        assert 'headgate_master_database_up{kind="sqlite"} 1' in page
        assert 'headgate_agent_sessions{transport="grpc"} 0' in page
        route = f'method="POST",route="{W.replace("default", "{workspace}")}/fleets",status="201"'
        assert f"headgate_rest_requests_total{{{route}}} 1" in page
        assert re.search(r'headgate_fleet_authority_expiry_days{.*issues="yes"} \d', page)
        assert running.stop() == 0


def test_metrics_for_other_hosts_have_the_certificate_of_the_rest_port(tmp_path: Path) -> None:
    options = ("--listen", "127.0.0.1:0", "--fleet-tls", "--metrics-listen", "0.0.0.0:0")
    with master(tmp_path, *options) as running:
        found = re.search(r"https://0\.0\.0\.0:(\d+)/metrics", running.text())
        assert found is not None, running.text()
        where = ("127.0.0.1", int(found[1]))
        rest = ("127.0.0.1", int(running.base.rpartition(":")[2]))
        assert ssl.get_server_certificate(where) == ssl.get_server_certificate(rest)
        assert running.stop() == 0
