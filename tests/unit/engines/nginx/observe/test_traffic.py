"""Requests counted: by route, upstream, endpoint, status and latency."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.observe.histogram import BOUNDS_S, Histogram, LatencyWindow
from headgate.engines.nginx.observe.hits import Hit
from headgate.engines.nginx.observe.traffic import OTHER, Traffic, class_name


def _hit(**fields: str | int | float) -> Hit:
    base: dict[str, object] = {
        "route": "api",
        "upstream": "app",
        "endpoint": "127.0.0.1:1",
        "method": "GET",
        "status": "200",
        "first_byte_s": "0.001",
        "connect_s": "0.000",
        "upstream_s": "0.002",
        "upstream_status": "200",
        "total_s": 0.004,
    }
    hit = Hit()
    for key, value in (base | fields).items():
        setattr(hit, key, value)
    return hit


def test_a_request_counts_for_its_route_its_upstream_and_its_endpoint() -> None:
    traffic = Traffic()
    traffic.add([_hit(bytes_in=5, bytes_out=7), _hit(status="404")])
    assert traffic.requests == {("GET", "200", "app"): 1, ("GET", "404", "app"): 1}
    assert traffic.routes["api"].by_class() == {"2xx": 1, "4xx": 1}
    assert traffic.upstreams["app"].latency.count == 2
    assert traffic.backends["app/127.0.0.1:1"].requests == 2
    assert (traffic.bytes_in, traffic.bytes_out) == (5, 7)
    assert traffic.duration.sum_s == pytest.approx(0.008)


def test_each_try_counts_for_its_endpoint_and_the_one_without_a_head_has_failed() -> None:
    traffic = Traffic()
    traffic.add(
        [
            _hit(
                endpoint="127.0.0.1:1, 127.0.0.1:2",
                upstream_status="502, 200",
                first_byte_s="-, 0.003",
                connect_s="-, 0.000",
                upstream_s="0.001, 0.004",
            )
        ]
    )
    first, second = (traffic.backends[f"app/127.0.0.1:{n}"] for n in (1, 2))
    assert (first.requests, first.failures, first.connect_failures) == (1, 1, 1)
    assert (second.requests, second.failures, second.connect_failures) == (1, 0, 0)
    assert traffic.upstreams["app"].latency.sum_s == pytest.approx(0.005)
    assert traffic.total() == 1


@pytest.mark.parametrize(
    ("hit", "failures"),
    [
        (_hit(status="502", upstream_status="502"), 0),
        (_hit(status="504", upstream_status="504", first_byte_s="-"), 1),
        (_hit(status="499", upstream_status="-", first_byte_s="-"), 0),
    ],
    ids=["the endpoint itself said 502", "it timed out", "the client was gone"],
)
def test_only_what_an_endpoint_did_not_answer_is_its_failure(hit: Hit, failures: int) -> None:
    traffic = Traffic()
    traffic.add([hit])
    assert traffic.backends["app/127.0.0.1:1"].failures == failures


def test_names_beyond_the_limit_are_counted_together() -> None:
    traffic = Traffic(names=3, sites=2, endpoints=2)
    for n in range(10):
        hit = _hit(route=f"r{n}", upstream=f"u{n}", site=f"s{n}", endpoint=f"10.0.0.{n}:80")
        traffic.add([hit])
    assert set(traffic.routes) == {"r0", "r1", "r2", OTHER}
    assert traffic.routes[OTHER].requests == 7
    assert set(traffic.sites) == {"s0", "s1", OTHER}
    assert len(traffic.backends) == 3
    assert len({upstream for _, _, upstream in traffic.requests}) == 4
    assert traffic.total() == 10
    assert (traffic.routes.folded, traffic.sites.folded, traffic.upstreams.folded) == (7, 8, 7)
    assert (traffic.folded_requests, traffic.folded_backends) == (7, 8)


def test_statuses_that_nobody_registered_count_by_their_class() -> None:
    traffic = Traffic()
    statuses = [*(f"{status:03}" for status in range(1000)), "", "x", "20", "-"]
    traffic.add(_hit(status=status) for status in statuses * 2)
    found = {status for _, status, _ in traffic.requests}
    assert found >= {"000", "1xx", "5xx", "200", "444", "499", "511"}
    assert not found & {"299", "599", "600", "x"}
    assert len(found) <= 80
    assert traffic.total() == 2 * len(statuses)
    folded = sum(n for (_, s, _), n in traffic.requests.items() if s.endswith("xx") or s == "000")
    assert traffic.folded_requests == folded - statuses.count("000") * 2


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=4)), max_size=50))
def test_whatever_clients_send_as_method_the_page_does_not_grow(
    sent: list[tuple[str, str]],
) -> None:
    traffic = Traffic()
    traffic.add(_hit(method=method, status=status) for method, status in sent)
    assert traffic.total() == len(sent)
    assert all(len(status) == 3 for _, status, _ in traffic.requests)
    assert {method for method, _, _ in traffic.requests} <= {
        *("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "OTHER")
    }


def test_a_status_has_a_class() -> None:
    classes = [class_name(status) for status in ("101", "204", "499", "599", "000", "", "6xx")]
    assert classes == ["1xx", "2xx", "4xx", "5xx", OTHER, OTHER, OTHER]


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1))
def test_a_quantile_lies_between_the_bounds_of_its_bucket(values: list[float], q: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    exact = sorted(values)[min(len(values) - 1, max(0, round(q * len(values)) - 1))]
    found = histogram.quantile(q)
    assert found is not None
    assert 0 <= found <= BOUNDS_S[-1]
    assert histogram.count == len(values)
    if q == 1:
        above = next((bound for bound in BOUNDS_S if bound >= exact), BOUNDS_S[-1])
        assert found <= above


def test_lately_covers_the_last_minute_or_two() -> None:
    window, histogram = LatencyWindow(), Histogram()
    assert window.read(0, histogram) == (0.0, 0.0)
    for _ in range(100):
        histogram.record(1.0)
    assert window.read(60, histogram)[0] > 900
    for _ in range(10):
        histogram.record(0.001)
    assert window.read(119, histogram)[0] > 900
    assert window.read(120, histogram)[0] == pytest.approx(1.0)


def test_other_bounds_keep_what_was_counted_and_what_both_have_stays_exact() -> None:
    histogram = Histogram((0.01, 0.02, 0.04))
    for value in (0.005, 0.015, 0.03, 0.035, 0.09):
        histogram.record(value)
    moved = histogram.in_buckets((0.02, 0.03, 0.1))
    assert moved.counts == [2, 0, 2, 1]
    assert (moved.count, moved.sum_s) == (histogram.count, histogram.sum_s)
    assert moved.in_buckets((0.001,)).count == histogram.count


def test_lately_knows_what_was_counted_before_the_bounds_changed() -> None:
    window, histogram = LatencyWindow(), Histogram()
    for _ in range(100):
        histogram.record(1.0)
    window.read(60, histogram)
    window.read(120, histogram)
    histogram = histogram.in_buckets((0.005, 0.04))
    for _ in range(10):
        histogram.record(0.004)
    mean_ms, p99_ms = window.read(121, histogram)
    assert mean_ms == pytest.approx(4.0)
    assert p99_ms <= 5.0


def test_other_bounds_are_those_of_every_histogram() -> None:
    traffic = Traffic()
    hits = [_hit(site="a.example", total_s=0.2), _hit(site="a.example", total_s=0.004)]
    traffic.add(hits)
    traffic.measure((0.25, 1.0))
    traffic.add([*hits, _hit(site="b.example", route="new", total_s=0.2)])
    tables = (traffic.routes, traffic.sites, traffic.upstreams)
    every = [traffic.duration, *(one.latency for table in tables for one in table.values())]
    assert {one.bounds_s for one in every} == {(0.25, 1.0)}
    assert traffic.duration.counts == [5, 0, 0]
    assert traffic.sites["a.example"].latency.counts == [4, 0, 0]
    assert traffic.sites["a.example"].requests == 4


def test_tries_after_the_first_count_by_upstream() -> None:
    traffic = Traffic()
    several = {"connect_s": "-, 0.001", "first_byte_s": "-, 0.002", "upstream_status": "502, 200"}
    traffic.add(
        [
            _hit(endpoint="127.0.0.1:1"),
            _hit(endpoint="127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3", **several),
            _hit(endpoint="127.0.0.1:1, hg_up_app", **several),
            _connection(endpoint="127.0.0.1:1, 127.0.0.1:2", connect_s="-, 0.001"),
        ]
    )
    assert traffic.retries == {"app": 3}


def test_an_upstream_has_the_duration_of_whole_requests_too() -> None:
    traffic = Traffic()
    traffic.add([_hit(total_s=4.0, upstream_s="0.002"), _hit(endpoint="", total_s=9.0)])
    served = traffic.upstreams["app"]
    assert served.whole is not None
    assert (served.whole.count, served.whole.sum_s) == (1, 4.0)
    assert served.latency.sum_s == 0.002
    traffic.measure((5.0,))
    assert served.whole.counts == [1, 0]


def _connection(**fields: str | int | float) -> Hit:
    given: dict[str, str | int | float] = {"tcp": "ended", "method": "", "total_s": 3600.0}
    given |= dict.fromkeys(("first_byte_s", "upstream_s", "upstream_status"), "")
    return _hit(**(given | fields))


def test_a_tcp_connection_is_no_request_but_one_of_its_endpoint() -> None:
    traffic = Traffic()
    traffic.add([_connection(bytes_in=5, bytes_out=7), _connection(tcp="no-route", endpoint="")])
    assert (traffic.requests, traffic.routes, traffic.duration.count) == ({}, {}, 0)
    assert traffic.tcp_closed == {"ended": 1, "no-route": 1}
    assert (traffic.bytes_in, traffic.bytes_out) == (5, 7)
    backend = traffic.backends["app/127.0.0.1:1"]
    assert (len(traffic.backends), backend.requests, backend.failures) == (1, 1, 0)


def test_an_endpoint_of_tcp_has_failed_where_connecting_did() -> None:
    traffic = Traffic()
    two = "127.0.0.1:1, 127.0.0.1:2"
    traffic.add(
        [
            _connection(endpoint=two, connect_s="-, 0.001"),
            _connection(endpoint=two, connect_s="-, -", status="502", tcp="connect-failed"),
            _connection(endpoint="127.0.0.1:2, hg_up_app", connect_s="-, -", status="502"),
            _connection(endpoint="127.0.0.1:2", connect_s="-"),  # the client left before
        ]
    )
    first, second = (traffic.backends[f"app/127.0.0.1:{n}"] for n in (1, 2))
    assert (first.requests, first.failures, first.connect_failures) == (2, 2, 2)
    assert (second.requests, second.failures) == (4, 2)
    assert len(traffic.backends) == 2


def test_connections_of_a_watched_upstream_are_kept_as_tries() -> None:
    traffic = Traffic()
    traffic.watched = frozenset({"app"})
    traffic.add([_connection(endpoint="127.0.0.1:1, 127.0.0.1:2", connect_s="-, 0.001")])
    (kept,) = traffic.kept
    assert (kept.upstream_status, kept.first_byte_s) == ("502, 200", "-, 0.001")


def test_a_flow_of_udp_fails_at_an_endpoint_that_did_not_answer() -> None:
    traffic = Traffic()
    traffic.add([_connection(tcp="", udp="ended")])
    traffic.add([_connection(tcp="", udp="unanswered", status="502")])
    assert traffic.udp_closed == {"ended": 1, "unanswered": 1}
    assert traffic.tcp_closed == {}
    (backend,) = traffic.backends.values()
    assert (backend.requests, backend.failures, backend.connect_failures) == (2, 1, 0)
