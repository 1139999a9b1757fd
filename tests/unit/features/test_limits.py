"""Rates, keys and the options of limits, and what is wrong with them."""

from pathlib import PurePath
from typing import cast

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.features import rates
from headgate.features.middleware.concurrency_limit.spec import ConcurrencyLimitNode
from headgate.features.middleware.rate_limit.spec import RateLimit, RateLimitNode
from headgate.features.rates import Rate
from headgate.kernel.errors import Invalid

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
middlewares = ["one"]
respond = {{ status = 200 }}
[middlewares.one.{kind}]
{keys}
"""


def errors(kind: str, keys: str) -> list[str]:
    text = BASE.format(kind=kind, keys=keys)
    found = load([PurePath("a.toml")], MemoryFiles({"a.toml": text}), {})
    return [str(one) for one in found.errors]


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("100/s", Rate(100, 1_000)),
        ("600 / m", Rate(600, 60_000)),
        ("1/h", Rate(1, 3_600_000)),
        ("1000000/d", Rate(1_000_000, 86_400_000)),
        ({"requests": 5, "per": "1.5s"}, Rate(5, 1_500)),
    ],
)
def test_a_rate_is_requests_in_a_time(value: object, rate: Rate) -> None:
    assert rates.rate_of(value) == rate


@pytest.mark.parametrize(
    "value",
    [
        "",
        "100",
        "0/s",
        "1000001/s",
        "100/w",
        "1.5/s",
        "-1/s",
        100,
        None,
        [],
        {"requests": 5},
        {"requests": "5", "per": "1s"},
        {"requests": True, "per": "1s"},
        {"requests": 5, "per": 1},
        {"requests": 5, "per": "999ms"},
        {"requests": 5, "per": "25h"},
        {"requests": 5, "per": "1s", "burst": 2},
    ],
)
def test_what_is_no_rate_is_refused_with_what_is(value: object) -> None:
    with pytest.raises(Invalid) as wrong:
        rates.rate_of(value)
    assert "write" in wrong.value.allowed


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("all", ()),
        ("client_ip", ("client_ip",)),
        (["host", "path:02"], ("host", "path:2")),
        ("header:X-Api-Key", ("header:x-api-key",)),
        ("cookie:SID", ("cookie:SID",)),
    ],
)
def test_a_key_is_a_part_of_a_request_or_several(value: object, parts: tuple[str, ...]) -> None:
    assert rates.parts_of(value) == parts


@pytest.mark.parametrize(
    "value",
    [
        "",
        "ip",
        "header:",
        "header",
        "header:a b",
        "cookie:a=b",
        "path:0",
        "path:65",
        "path:x",
        "query:x",
        [],
        ["all"],
        ["host", "host"],
        ["path"] * 9,
        1,
        [1],
    ],
)
def test_what_is_no_key_is_refused_with_what_is(value: object) -> None:
    with pytest.raises(Invalid) as wrong:
        rates.parts_of(value)
    assert wrong.value.allowed


def test_without_more_a_limit_is_of_clients_and_its_burst_is_its_rate() -> None:
    node = RateLimit.model_validate({"rate": "100/m"}).to_plan()
    assert node == RateLimitNode(requests=100, period_ms=60_000, burst=100, key=("client_ip",))


def test_every_option_is_in_the_plan() -> None:
    options = {
        "rate": "100/s",
        "burst": 20,
        "key": ["host", "header:X-A"],
        "ipv6_prefix": 56,
        "cost": 5,
        "dry_run": True,
        "status": 503,
        "max_keys": 1000,
    }
    node = RateLimit.model_validate(options).to_plan()
    key = ("host", "header:x-a")
    assert node == RateLimitNode(100, 1_000, 20, key, 5, True, 503, 1000, 56)


@pytest.mark.parametrize(
    ("kind", "keys", "place", "what"),
    [
        ("rate_limit", "", "middlewares.one.rate_limit", "rate"),
        ("rate_limit", 'rate = "5"', "middlewares.one.rate_limit.rate", '"5" is not a rate'),
        ("rate_limit", 'rate = "5/s"\ncost = 6', "rate_limit.cost", "above the burst of 5"),
        ("rate_limit", 'rate = "5/s"\nkey = "x"', "rate_limit.key", '"x" is nothing to count by'),
        ("rate_limit", 'rate = "5/s"\nstatus = 302', "rate_limit.status", "400"),
        ("rate_limit", 'rate = "5/s"\nburts = 3', "rate_limit", "burst"),
        ("concurrency_limit", "requests = 0", "concurrency_limit.requests", "1"),
        ("concurrency_limit", "", "middlewares.one.concurrency_limit", "requests"),
    ],
)
def test_mistakes_are_reported_where_they_are(kind: str, keys: str, place: str, what: str) -> None:
    (error,) = errors(kind, keys)
    assert place in error
    assert what in error
    assert error.startswith("a.toml:")


def test_a_config_with_limits_has_a_plan() -> None:
    assert errors("rate_limit", 'rate = { requests = 5, per = "10s" }\nkey = "all"') == []
    assert errors("concurrency_limit", 'requests = 5\nkey = "header:x-a"') == []
    node = ConcurrencyLimitNode(requests=5)
    assert cast(object, node.key) == ()


def test_what_is_above_a_number_of_the_burst_waits() -> None:
    made = RateLimit.model_validate({"rate": "10/s", "burst": 20, "delay_above": 5}).to_plan()
    assert (made.burst, made.most, made.at_once) == ((20, 5), 20, 5)
    assert made.does.startswith("10/s, burst 20 (above 5 delayed), ")
    plain = RateLimit.model_validate({"rate": "10/s", "burst": 20}).to_plan()
    assert (plain.burst, plain.most, plain.at_once) == (20, 20, 20)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("burst = 5\ndelay_above = 5", "no request would wait"),
        ("burst = 3002\ndelay_above = 1", "wait for more than 5m"),
        ("burst = 5\ndelay_above = 0", "delay_above"),
        ('burst = 5\ndelay_above = 1\nacross = "nodes"', "delays no requests"),
    ],
)
def test_a_delay_that_cannot_be_is_refused(keys: str, said: str) -> None:
    assert any(said in one for one in errors("rate_limit", f'rate = "10/s"\n{keys}'))
    assert not errors("rate_limit", 'rate = "10/s"\nburst = 3001\ndelay_above = 1')
