"""What heartbeats say of a node's traffic."""

import loops

from headgate.engines.types import EndpointStatus, UpstreamStatus
from headgate.fleet.agent_events import Summary
from headgate.fleet.frames import Latency
from headgate.node.agent.figures import Measured, figures, looked
from headgate.node.samples import Samples

PAGE = b"""\
# TYPE http_requests counter
http_requests_total{method="GET",status="200",upstream="api"} 90
http_requests_total{method="GET",status="404",upstream=""} 4
http_requests_total{method="GET",status="502",upstream="api"} 5
http_requests_total{method="POST",status="5xx",upstream="api"} 1
http_request_duration_seconds_bucket{le="0.01"} 98
http_request_duration_seconds_bucket{le="0.1"} 100
http_request_duration_seconds_bucket{le="+Inf"} 100
proxy_active_connections 3
headgate_nginx_draining_generations 2
headgate_dataplane_uptime_seconds 12.5
# EOF
"""


def checked(passed: int, failed: int) -> UpstreamStatus:
    one = EndpointStatus(
        "127.0.0.1:9", [], "up", 0, 0, 0, 2, "", checks_passed=passed, checks_failed=failed
    )
    return UpstreamStatus("api", [one])


def test_requests_errors_checks_and_latency_are_summed_up() -> None:
    found = figures(looked(PAGE), Samples(()), [checked(7, 1), checked(2, 0)])
    assert found == {
        "requests": 100,
        "errors": 6,
        "errors_4xx": 4,
        "endpoint_failures": 4,
        "connections": 3,
        "probes": 10,
        "probes_failed": 1,
        "draining": 2,
        "latency_p99_ms": 100,
    }


def test_latency_is_that_since_the_look_before() -> None:
    now = looked(PAGE)
    assert "latency_p99_ms" not in figures(now, now, [])
    later = looked(PAGE.replace(b"} 98", b"} 198").replace(b"} 100\n", b"} 200\n"))
    assert figures(later, now, [])["latency_p99_ms"] == 10


def test_no_latency_is_said_of_a_time_in_which_the_buckets_changed() -> None:
    later = looked(PAGE.replace(b'le="0.01"', b'le="0.05"'))
    assert "latency_p99_ms" not in figures(later, looked(PAGE), [])
    assert figures(later, Samples(()), [])["latency_p99_ms"] == 100


class Engine:
    """An engine that says what it is told to say."""

    page: bytes | None = None

    async def metrics(self) -> bytes | None:
        return self.page

    async def upstreams(self) -> list[UpstreamStatus] | None:
        return [checked(1, 0)]


def test_nothing_is_said_while_nothing_serves() -> None:
    engine = Engine()
    measured = Measured(engine)  # type: ignore[arg-type]

    async def looks() -> tuple[Summary, Summary]:
        nothing = await measured()
        engine.page = PAGE
        return nothing, await measured()

    nothing, found = loops.run(looks())
    assert nothing == Summary()
    assert found.figures["requests"] == 100
    assert found.figures["measured_s"] > 0
    assert found.figures["uptime_s"] == 12.5
    assert found.latency == Latency((0.01, 0.1), (98, 2, 0))


def test_an_engine_without_an_uptime_counts_since_the_agent_does() -> None:
    engine = Engine()
    engine.page = b"http_requests_total 1\n"
    found = loops.run(Measured(engine)())  # type: ignore[arg-type]
    assert 0 <= found.figures["uptime_s"] < 60
    assert found.latency is None
