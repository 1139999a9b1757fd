"""How requests ended at endpoints, as the access log tells it."""

import pytest

from headgate.engines.nginx.checks.outliers import ended, outcome
from headgate.engines.nginx.observe.hits import Hit


@pytest.mark.parametrize(
    ("status", "head", "connect", "word"),
    [
        ("200", "0.001", "0.000", "ok"),
        ("404", "0.001", "-", "ok"),
        ("429", "0.001", "0.000", "limited"),
        ("500", "0.001", "0.000", "5xx"),
        ("502", "0.001", "0.000", "gateway"),
        ("504", "0.001", "0.000", "gateway"),
        ("502", "-", "-", "connect"),
        ("502", "-", "0.000", "reset"),
        ("504", "-", "0.000", "timeout"),
        ("499", "-", "0.000", "cancelled"),
        ("-", "-", "-", "cancelled"),
        ("", "-", "", "cancelled"),
        ("-", "0.001", "0.000", "cancelled"),
    ],
)
def test_a_try_ends_as_status_and_times_say(
    status: str, head: str, connect: str, word: str
) -> None:
    assert outcome(status, head, connect) == word


def test_each_try_of_a_request_counts_for_its_endpoint() -> None:
    hit = Hit(
        endpoint="127.0.0.1:1, 127.0.0.1:2 : unix:/x",
        upstream_status="502, 504 : 200",
        first_byte_s="-, - : 0.002",
        connect_s="-, 0.001 : 0.000",
        upstream_s="0.500, 1.998 : 0.003",
        total_s=2.5,
    )
    assert [tuple(one) for one in ended(hit, 10_000)] == [
        ("127.0.0.1:1", "connect", 6_500, 500),
        ("127.0.0.1:2", "timeout", 6_500, 1998),
        ("unix:/x", "ok", 6_500, 2),
    ]


def test_what_a_line_does_not_say_says_nothing_of_an_endpoint() -> None:
    hit = Hit(endpoint="127.0.0.1:1, 127.0.0.1:2", upstream_status="502")
    assert [one.outcome for one in ended(hit, 0)] == ["connect", "cancelled"]
