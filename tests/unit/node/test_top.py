"""One screen of `headgate top`."""

from rich.console import Console

from headgate.cli.samples import parse
from headgate.cli.top import Look, draw
from headgate.engines.native.types import DataPlaneStatus
from headgate.engines.types import EndpointStatus, UpstreamStatus
from headgate.node.about import ConfigStatus, NodeStatus, ProcessStatus


def look(at: float, requests: int) -> Look:
    """A node that has served so many requests."""
    endpoint = EndpointStatus("127.0.0.1:9", [], "up", 3, 1, requests, 0, "")
    plane = DataPlaneStatus("ab", 1, 1.0, False, [], [], [UpstreamStatus("app", [endpoint])])
    status = NodeStatus(
        ready=True,
        reason="ready",
        control=ProcessStatus("1", 1, 1.0),
        config=ConfigStatus(["a.toml"], "abcdef0123456789", 3, 1.0, None),
        supervisor=None,
        dataplane=plane,
    )
    page = f"""
http_requests_total{{method="GET",status="200",upstream="app"}} {requests}
http_request_duration_seconds_bucket{{le="0.005"}} {requests}
http_request_duration_seconds_bucket{{le="+Inf"}} {requests}
proxy_active_connections 12
proxy_bytes_sent_total {requests * 2048}
"""
    return Look(at, status, parse(page))


def test_rates_are_what_happened_between_two_looks() -> None:
    console = Console(width=200, record=True)
    with console.capture() as capture:
        console.print(draw(look(10.0, 100), look(12.0, 500)))
    text = capture.get()
    assert "requests/s 200" in text
    assert "p99 5.0 ms" in text
    assert "connections 12" in text
    assert "out 400 KiB/s" in text
    assert "127.0.0.1:9" in text
