"""The access log that our renderer has nginx write is the one that our reader counts."""

from pathlib import Path

from peers import peer
from ports import free_port
from running_node import Upstream, get
from waiting import until

from headgate.cli.nginx.rendering import written
from headgate.compile.settings import NginxSettings
from headgate.engines.nginx.apply.results import Applied
from headgate.engines.nginx.drive.setup import setup
from headgate.engines.nginx.instance import NginxInstance
from headgate.engines.nginx.observe.observer import AccessLog, Observer, Sources
from headgate.node.exposition import text
from headgate.node.samples import Samples, parse

_CONFIG = """
[listeners.web]
address = "127.0.0.1:{port}"
protocol = "http"
default = true

[routes.shop]
hosts = ["shop.example"]
upstream = "app"

[routes.dead]
hosts = ["dead.example"]
upstream = "dead"

[routes.here]
hosts = ["here.example"]
respond = {{ status = 204 }}

[upstreams.app]
endpoints = ["{alive}"]

[upstreams.dead]
endpoints = ["127.0.0.1:{dead}"]
"""


def _counts(page: Samples, name: str, label: str) -> dict[tuple[str, str], float]:
    return {
        (line.labels[label], line.labels.get("status", "")): line.value
        for line in page.lines
        if line.name == name
    }


def requests_of(page: Samples, failed: int) -> tuple[float, float, float]:
    """Requests to the upstream that lives, to the dead one, and answered by nginx itself."""
    found = _counts(page, "http_requests_total", "upstream")
    return found[("app", "200")], found[("dead", str(failed))], found[("", "204")]


def test_requests_are_counted_by_route_upstream_and_endpoint(folder: Path, dead: int) -> None:
    peer("nginx")
    upstream, port = Upstream("app"), free_port()
    config = folder / "headgate.toml"
    config.write_text(_CONFIG.format(port=port, alive=upstream.address, dead=dead))
    root = folder / "nginx"
    root.mkdir(mode=0o755)
    here = setup(root, NginxSettings(soak_s=0.0)).here
    instance = NginxInstance(here.place)
    applied = here.applier(root).apply(
        lambda generation: written([config], root, None, generation).rendered
    )
    try:
        assert isinstance(applied, Applied), applied
        observer = Observer(
            Sources(
                access_logs=[AccessLog(f"{root}/logs/access.log")],
                error_logs=[here.settings.error_log],
                stub_status=f"unix:{here.settings.status_socket}:/stub_status",
                generation_socket=here.settings.status_socket,
                processes=lambda: (instance.master(), instance.workers()),
            )
        )
        observer.poll()
        hosts = ("shop.example", "shop.example", "dead.example", "here.example", "none.example")
        statuses = [get(port, "/x?y=z", host)[0] for host in hosts]
        assert statuses[:2] == [200, 200]

        def is_counted() -> bool:
            observer.poll()
            return observer.traffic.total() >= len(hosts)

        until(is_counted, "the log's lines")
        page = parse("".join(text(one) for one in observer.page(desired=1)))
    finally:
        instance.stop(deadline_s=1.0)
        upstream.close()
    assert (observer.problems, observer.traffic.unread) == ({}, 0)
    assert requests_of(page, statuses[2]) == (2, 1, 1)
    routes = _counts(page, "headgate_route_requests_total", "route")
    assert routes[("shop", "2xx")] == 2
    assert routes[("here", "2xx")] == 1
    assert routes[("dead", "5xx")] == 1
    backends = _counts(page, "proxy_backend_failures_total", "backend")
    assert backends[(f"app/{upstream.address}", "")] == 0
    assert backends[(f"dead/127.0.0.1:{dead}", "")] >= 1
    assert page.total("headgate_nginx_up") == 1
    assert page.total("proxy_total_connections") >= len(hosts)
    generations = {line.labels["of"]: line.value for line in page.lines if "of" in line.labels}
    assert generations == {"desired": 1, "running": 1}
