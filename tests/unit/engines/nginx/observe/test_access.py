"""Access logs: our JSON lines, and any format that nginx was given."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.observe.fields import VARIABLES, log_format
from headgate.engines.nginx.observe.hits import Hit, JsonLines
from headgate.engines.nginx.observe.log_format import COMBINED, LogFormat, UnusableFormatError

_LINE = {
    "route": "api",
    "upstream": "app",
    "endpoint": "127.0.0.1:9001",
    "method": "GET",
    "status": "200",
    "bytes_in": "90",
    "bytes_out": "1234",
    "total_s": "0.012",
    "target": "/",
}


def _block(*lines: "dict[str, str] | bytes") -> bytes:
    parts = (one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines)
    return b"".join(part + b"\n" for part in parts)


def test_a_line_of_ours_is_a_hit() -> None:
    hits, bad = JsonLines().hits(_block(_LINE))
    assert bad == 0
    assert hits == [
        Hit(
            route="api",
            upstream="app",
            endpoint="127.0.0.1:9001",
            method="GET",
            status="200",
            bytes_in=90,
            bytes_out=1234,
            total_s=0.012,
        )
    ]


@pytest.mark.parametrize(
    "line", [b"", b"{", b"nonsense", b"[]", b'{"total_s":"x"}', b'{"status":200}']
)
def test_a_bad_line_is_counted_and_costs_its_neighbours_nothing(line: bytes) -> None:
    hits, bad = JsonLines().hits(_block(_LINE, line, _LINE))
    assert len(hits) == 2
    assert bad == (1 if line else 0)


def test_bytes_that_are_not_utf_8_cost_no_line() -> None:
    raw = _block(_LINE | {"target": "/caf@"}).replace(b"@", b"\xe9")
    hits, bad = JsonLines().hits(raw)
    assert (len(hits), bad) == (1, 0)


def test_every_field_of_a_hit_that_is_ours_is_in_the_format() -> None:
    keys = {key for key, _ in VARIABLES}
    assert set(Hit.__struct_fields__) - {"site", "tcp", "udp"} <= keys
    assert json.loads(log_format()) == {key: f"${variable}" for key, variable in VARIABLES}


@pytest.mark.parametrize(
    ("text", "line", "wanted"),
    [
        (
            COMBINED,
            r'::1 - bob [20/Nov/2026:08:59:02 +0000] "POST /a b HTTP/1.1" 201 77 "-" "x\x22y"',
            Hit(method="POST", status="201", bytes_out=77),
        ),
        (
            COMBINED + ' "$http_x_forwarded_for"',
            '::1 - - [20/Nov/2026:08:59:02 +0000] "" 400 0 "-" "-" "-"',
            Hit(method="", status="400"),
        ),
        (
            "$host $status $request_time ${upstream_addr} $upstream_status"
            " $upstream_header_time|$upstream_response_time",
            "A.example 502 1.204 10.0.0.1:80, 10.0.0.2:80 504, 502 -, 0.200|1.000, 0.200",
            Hit(
                site="a.example",
                status="502",
                total_s=1.204,
                endpoint="10.0.0.1:80, 10.0.0.2:80",
                upstream_status="504, 502",
                first_byte_s="-, 0.200",
                upstream_s="1.000, 0.200",
            ),
        ),
        (
            '{"m":"$request_method","s":$status,"b":$bytes_sent,"r":"$request"}',
            '{"m":"GET","s":304,"b":12,"r":"GET /x HTTP/1.1"}',
            Hit(method="GET", status="304", bytes_out=12),
        ),
        ("$server_name $host $status $status", "a b 200 200", Hit(site="a", status="200")),
    ],
)
def test_a_format_of_somebody_else_is_read(text: str, line: str, wanted: Hit) -> None:
    assert LogFormat(text).hits(line.encode() + b"\n") == ([wanted], 0)


def test_a_log_without_hosts_counts_for_the_site_it_belongs_to() -> None:
    line = b'::1 - - [x] "GET / HTTP/1.1" 200 1 "-" "-"\n'
    assert LogFormat(COMBINED, site="a.example").hits(line)[0][0].site == "a.example"


def test_a_line_of_another_format_is_counted() -> None:
    hits, bad = LogFormat(COMBINED).hits(b"something else\n\n" + b"x" * 10_000 + b"\n")
    assert (hits, bad) == ([], 2)


FREE = "$remote_addr $host $request_uri $status $http_user_agent $http_referer $request_time"


@pytest.mark.parametrize("line", ["a " * 100_000, "1 a / 200 " + "a " * 100_000 + "x"])
def test_what_a_client_sends_costs_no_more_than_its_length(line: str) -> None:
    """With steps for each way to share it between the variables, no test would end."""
    assert LogFormat(FREE).hits(line.encode() + b"\n") == ([], 1)


def test_a_format_without_a_status_cannot_be_used() -> None:
    with pytest.raises(UnusableFormatError):
        LogFormat("$remote_addr $request")


_VALUES = {
    "status": st.from_regex(r"[1-5][0-9]{2}", fullmatch=True),
    "request": st.from_regex(r"[A-Z]{3,7} /[a-z%?= ]{0,20} HTTP/1\.[01]", fullmatch=True),
    "remote_addr": st.sampled_from(["::1", "192.0.2.7", "unix:"]),
    "request_time": st.from_regex(r"[0-9]{1,3}\.[0-9]{3}", fullmatch=True),
    "bytes_sent": st.integers(0, 10**9).map(str),
    "upstream_addr": st.sampled_from(["-", "10.0.0.1:80", "10.0.0.1:80, unix:/a : [::1]:80"]),
    "upstream_response_time": st.sampled_from(["-", "0.001", "0.001, 0.020 : 1.000"]),
    "http_user_agent": st.from_regex(r"[^\"\x00-\x1f\x7f-\uffff]{0,30}", fullmatch=True),
    "time_local": st.just("20/Nov/2026:08:59:02 +0000"),
}


@given(
    st.permutations(sorted(_VALUES)),
    st.sampled_from([" ", " | ", " - ", "\t"]),
    st.fixed_dictionaries(_VALUES),
)
def test_what_a_format_writes_is_what_its_parser_reads(
    order: list[str], between: str, values: dict[str, str]
) -> None:
    text = between.join(f'"${name}"' for name in order)
    line = between.join(f'"{values[name]}"' for name in order)
    hits, bad = LogFormat(text).hits(line.encode() + b"\n")
    assert bad == 0
    assert hits == [
        Hit(
            status=values["status"],
            method=values["request"].split(" ")[0],
            total_s=float(values["request_time"]),
            bytes_out=int(values["bytes_sent"]),
            endpoint=values["upstream_addr"],
            upstream_s=values["upstream_response_time"],
        )
    ]


@given(st.text(max_size=60), st.binary(max_size=200))
def test_no_format_and_no_line_makes_it_fail_in_another_way(text: str, block: bytes) -> None:
    try:
        log = LogFormat(text + "$status")
    except UnusableFormatError:
        return
    hits, bad = log.hits(block)
    assert len(hits) + bad <= block.count(b"\n") + 1


def test_the_keys_are_in_the_order_of_our_own_lines() -> None:
    order = [key for key, _ in VARIABLES]
    for first, second in pairwise(["time", "client_ip", "route", "method", "status", "total_s"]):
        assert order.index(first) < order.index(second)
