"""`health_check`: what it becomes in the plan, and what is refused with its place."""

import pytest
from one_upstream import loaded, upstream

from headgate.plan.objects import (
    BytesCheck,
    Expect,
    GrpcCheck,
    HealthCheck,
    HttpCheck,
    OutlierDetection,
    OutlierShares,
)
from headgate.plan.redact import redacted


def test_an_empty_check_is_a_get_of_the_root_and_takes_the_cores_defaults() -> None:
    assert upstream("health_check = {}").health.check == HealthCheck(http=HttpCheck())
    assert upstream("").health.check is None
    tcp = upstream('health_check = { protocol = "tcp", interval = "9s", timeout = "3s" }')
    assert tcp.health.check == HealthCheck(interval_ms=9_000, timeout_ms=3_000)


def test_every_key_reaches_the_plan() -> None:
    made = upstream(
        'health_check = { path = "/up?x=1", method = "OPTIONS", host = "A.example:81", '
        'headers = { X-Check = "yes" }, statuses = [204, "300-302"], body = "fine", '
        'fast_interval = "2s", max_interval = "60s", healthy = 4, unhealthy = 5 }\n'
        'panic_threshold = "off"'
    )
    http = HttpCheck(
        path="/up?x=1",
        method="OPTIONS",
        host="a.example:81",
        headers={"x-check": "yes"},
        statuses=((204, 204), (300, 302)),
        body="fine",
    )
    assert made.health.check == HealthCheck(
        http=http, fast_interval_ms=2_000, max_interval_ms=60_000, healthy=4, unhealthy=5
    )
    assert made.health.panic_threshold == 0
    assert upstream("panic_threshold = 55").health.panic_threshold == 55


def test_a_check_by_grpc_reaches_the_plan() -> None:
    rest = 'protocol = "h2c"\nhealth_check = { protocol = "grpc", '
    made = upstream(rest + 'service = "shop.v1.Orders", host = "a.example" }')
    grpc = GrpcCheck(service="shop.v1.Orders", host="a.example")
    assert made.health.check == HealthCheck(grpc=grpc)
    assert upstream(rest + "}").health.check == HealthCheck(grpc=GrpcCheck())


def test_a_check_by_http_is_one_for_every_version_of_http() -> None:
    made = upstream('protocol = "h2c"\nhealth_check = {}')
    assert made.health.check == HealthCheck(http=HttpCheck())


def test_a_secret_header_is_read_from_its_file_and_never_shown() -> None:
    found = loaded(
        'health_check = { headers = { authorization = { file = "t" } } }', {"t": "s3cret\n"}
    )
    assert found.plan is not None
    (shown,) = (one for key, one in found.plan.objects.items() if key.kind == "upstream")
    assert b"s3cret" in shown.canonical
    assert b"s3cret" not in redacted(shown.canonical, found.secrets)


def _bytes(rest: str) -> BytesCheck | None:
    check = upstream(f"health_check = {{ {rest} }}").health.check
    assert check is not None
    return check.bytes


def test_bytes_to_send_and_to_expect_reach_the_plan() -> None:
    asked = _bytes('protocol = "tcp", send = "PING\\r\\n", expect = { exact = "+PONG\\r\\n" }')
    assert asked == BytesCheck(send=b"PING\r\n".hex(), expect=Expect(exact=b"+PONG\r\n".hex()))
    query = _bytes('protocol = "udp", send = { hex = "00 FF\\n0a" }')
    assert query == BytesCheck(is_datagram=True, send="00ff0a")
    first = _bytes('protocol = "tcp", expect = { regex = "220 .*\\\\r\\\\n" }')
    assert first == BytesCheck(expect=Expect(regex=r"220 .*\r\n"))
    assert _bytes('protocol = "udp", send = ""') == BytesCheck(is_datagram=True)
    for key, found in (("prefix", Expect(prefix="2b")), ("contains", Expect(contains="2b"))):
        one = _bytes(f'protocol = "udp", send = "?", expect = {{ {key} = {{ hex = "2B" }} }}')
        assert one == BytesCheck(is_datagram=True, send="3f", expect=found)
    assert _bytes('protocol = "tcp"') is None


def test_what_a_file_says_to_send_is_sent_as_it_is_and_never_shown() -> None:
    rest = 'health_check = { protocol = "tcp", send = { file = "t" }, expect = { prefix = "+" } }'
    found = loaded(rest, {"t": "AUTH s3cret\nPING\n"})
    assert found.plan is not None
    (shown,) = (one for key, one in found.plan.objects.items() if key.kind == "upstream")
    sent = b"AUTH s3cret\nPING\n".hex().encode()
    assert sent in shown.canonical
    assert b'"is_secret":true' in shown.canonical
    assert sent not in redacted(shown.canonical, found.secrets)


@pytest.mark.parametrize(
    ("rest", "at", "wrong"),
    [
        ("tls = {}", "health_check.protocol", "the upstream has `tls`, and a datagram has none"),
        ('proxy_protocol = "v1"', "health_check.protocol", "version 1 cannot tell of datagrams"),
    ],
)
def test_an_upstream_that_datagrams_do_not_suit_has_no_check_by_udp(
    rest: str, at: str, wrong: str
) -> None:
    (error,) = loaded(f'{rest}\nhealth_check = {{ protocol = "udp", send = "?" }}').errors
    assert f"upstreams.u.{at}: " in str(error)
    assert wrong in str(error)


@pytest.mark.parametrize(
    ("rest", "path", "wrong"),
    [
        ('{ path = "up" }', "path", '"up" is not a path'),
        ('{ path = "/a b" }', "path", '"/a b" is not a path'),
        ('{ statuses = ["2xx"] }', "statuses[0]", '"2xx" is not a status'),
        ('{ statuses = ["300-200"] }', "statuses[0]", '"300-200" ends before it begins'),
        ("{ statuses = [] }", "statuses", "is empty"),
        ('{ interval = "1s", timeout = "2s" }', "timeout", "longer than the interval"),
        ('{ method = "HEAD", body = "x" }', "body", "an answer to HEAD has no body"),
        ('{ protocol = "tcp", path = "/" }', "path", "a check by tcp sends no request"),
        ('{ protocol = "grpc" }', "protocol", "a check by grpc needs HTTP/2"),
        ('{ protocol = "udp" }', "protocol", "a check by udp has nothing to send; write `send`"),
        (
            '{ send = "x" }',
            "send",
            'a check by http sends a request of HTTP, so "send" does nothing',
        ),
        ('{ expect = { exact = "x" } }', "expect", 'leave it out, or write protocol = "tcp"'),
        ('{ protocol = "udp", send = "?", body = "x" }', "body", "a check by udp sends a datagram"),
        ('{ protocol = "tcp", send = 1 }', "send", "1 is neither text nor bytes; write text such"),
        ('{ protocol = "tcp", send = { hex = "0" } }', "send", '"0" is not made of pairs of hex'),
        ('{ protocol = "tcp", send = { base64 = "" } }', "send", "a table is neither text nor"),
        (
            f'{{ protocol = "tcp", send = "{"x" * 4097}" }}',
            "send",
            "there are 4097 bytes; write 4096 at most",
        ),
        ('{ protocol = "tcp", send = { file = "gone" } }', "send", "gone"),
        ('{ protocol = "tcp", expect = "x" }', "expect", ""),
        ('{ protocol = "tcp", expect = {} }', "expect", "the table is empty"),
        ('{ protocol = "tcp", expect = { exact = "" } }', "expect.exact", "nothing to compare"),
        (
            '{ protocol = "tcp", expect = { exact = "a", regex = "a" } }',
            "expect",
            "exclude each other",
        ),
        ('{ protocol = "tcp", expect = { regex = "(" } }', "expect.regex", "group is not closed"),
        ('{ protocol = "grpc", path = "/" }', "path", "by grpc calls grpc.health.v1.Health, so"),
        ('{ service = "a.B" }', "service", 'leave it out, or write protocol = "grpc"'),
        ('{ protocol = "grpc", service = "a b" }', "service", '"a b" is not a service'),
        ('{ headers = { host = "x" } }', "headers.host", '"host" is not among the headers'),
        ('{ headers = { x = "a\\nb" } }', "headers.x", "is not a header's value"),
        ("{ healthy = 0 }", "healthy", ""),
        ('{ intervall = "1s" }', "intervall", ""),
    ],
)
def test_a_wrong_check_is_one_error_at_its_place(rest: str, path: str, wrong: str) -> None:
    (error,) = loaded(f"health_check = {rest}").errors
    assert f"upstreams.u.health_check.{path}: " in str(error)
    assert wrong in str(error)


@pytest.mark.parametrize("value", ["0", "101", '"all"', "true"])
def test_a_wrong_panic_threshold_is_refused(value: str) -> None:
    (error,) = loaded(f"panic_threshold = {value}").errors
    assert "is not a percentage; write a number from 1 to 100" in str(error)


def test_outlier_detection_has_the_cores_defaults_and_every_key() -> None:
    assert upstream("outlier_detection = {}").health.outliers == OutlierDetection()
    made = upstream(
        'outlier_detection = { consecutive_5xx = "off", consecutive_gateway = 3, '
        'consecutive_local = 4, ejection = "1s", max_ejection = "9s", max_ejected = 100, '
        'enforce = false, failure_percent = 60, failure_requests = 5, window = "9.5s", '
        "success_rate_deviation = 2, success_rate_endpoints = 3, success_rate_requests = 50 }"
    )
    assert made.health.outliers == OutlierDetection(
        consecutive_5xx=0,
        consecutive_gateway=3,
        consecutive_local=4,
        shares=OutlierShares(60, 5, 2_000, 3, 50, 10),
        ejection_ms=1_000,
        max_ejection_ms=9_000,
        max_ejected=100,
        enforce_percent=0,
    )


@pytest.mark.parametrize(
    ("rest", "wrong"),
    [
        (
            '{ consecutive_5xx = "off", consecutive_gateway = "off", consecutive_local = "off", '
            'failure_percent = "off", success_rate_deviation = "off" }',
            "outlier_detection: nothing ejects an endpoint",
        ),
        ("{ failure_percent = 101 }", "failure_percent: 101 is not a percentage"),
        ("{ success_rate_deviation = 0 }", "success_rate_deviation: 0 is out of range"),
        ('{ success_rate_deviation = "two" }', "success_rate_deviation: "),
        ("{ success_rate_endpoints = 1 }", "success_rate_endpoints: "),
        ('{ window = "2m" }', 'window: "2m" is not a window; write 1 to 60 seconds'),
        (
            '{ failure_percent = "off", failure_requests = 5 }',
            "failure_requests: `failure_requests` does nothing without `failure_percent`",
        ),
        (
            '{ success_rate_deviation = "off", success_rate_requests = 5 }',
            "success_rate_requests: `success_rate_requests` does nothing without `success_rate_de",
        ),
        ('{ max_ejection = "1s" }', "max_ejection: the longest ejection is shorter"),
        ('{ ejection = "600s" }', "ejection: the longest ejection is shorter"),
        ("{ max_ejected = 0 }", "outlier_detection.max_ejected: "),
        ("{ consecutive_5xx = 0 }", "consecutive_5xx: 0 is not a limit"),
    ],
)
def test_wrong_outlier_detection_is_one_error_at_its_place(rest: str, wrong: str) -> None:
    (error,) = loaded(f"outlier_detection = {rest}").errors
    assert wrong in str(error)


def test_slow_start_reaches_the_plan_and_is_off_without_a_key() -> None:
    health = upstream('slow_start = "30s"\nslow_start_floor = 25').health
    assert (health.slow_start_ms, health.slow_start_floor) == (30_000, 25)
    health = upstream("").health
    assert (health.slow_start_ms, health.slow_start_floor) == (0, 10)
    assert upstream('slow_start = "off"').health == health


@pytest.mark.parametrize(
    ("rest", "wrong"),
    [
        ("slow_start_floor = 0", "0 is out of range"),
        ("slow_start_floor = 101", "101 is out of range"),
        ("slow_start = 30", "30 is not a duration"),
    ],
)
def test_a_wrong_slow_start_is_refused(rest: str, wrong: str) -> None:
    (error,) = loaded(rest).errors
    assert wrong in str(error)


@pytest.mark.parametrize(
    ("written", "percent"), [("true", 100), ("false", 0), ("0", 0), ("25", 25), ("100", 100)]
)
def test_outlier_detection_enforces_all_nothing_or_a_share(written: str, percent: int) -> None:
    made = upstream(f"outlier_detection = {{ enforce = {written} }}").health.outliers
    assert made == OutlierDetection(enforce_percent=percent)


@pytest.mark.parametrize("written", ["101", "-1", '"half"', "0.5", '"50%"'])
def test_a_share_that_is_none_is_refused_with_its_place(written: str) -> None:
    (error,) = loaded(f"outlier_detection = {{ enforce = {written} }}").errors
    assert "upstreams.u.outlier_detection.enforce: " in str(error)
    assert "is not a share; write true, false, or a percentage from 0 to 100" in str(error)
