"""What a request for a tap may ask to see."""

import pytest

from headgate.engines.types import TapFilter
from headgate.kernel.errors import Invalid
from headgate.node.admin.tap_query import tap_filter

NAMED = {"route": ["api", "shop"], "upstream": ["app"], "listener": ["web"]}


def of(**given: str) -> TapFilter:
    return tap_filter(given.items(), NAMED)


def test_nothing_leaves_nothing_out() -> None:
    assert of() == TapFilter()


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("host", "A.Example.", "host", "a.example"),
        ("host", "*.example.com", "host", "*.example.com"),
        ("host", "[2001:db8::1]", "host", "[2001:db8::1]"),
        ("path", "/v1", "path", "/v1"),
        ("method", "get", "method", "GET"),
        ("status", "404", "status", (404, 404)),
        ("status", "5XX", "status", (500, 599)),
        ("status", "400-451", "status", (400, 451)),
        ("client", "192.0.2.7", "client", "192.0.2.7/32"),
        ("client", "2001:db8::1/32", "client", "2001:db8::/32"),
        ("slower", "250ms", "slower_us", 250_000),
        ("headers", "true", "headers", True),
        ("headers", "false", "headers", False),
        ("route", "api", "route", "api"),
        ("upstream", "app", "upstream", "app"),
        ("listener", "web", "listener", "web"),
    ],
)
def test_each_part_becomes_its_field(key: str, value: str, field: str, expected: object) -> None:
    assert getattr(of(**{key: value}), field) == expected


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("hots", "a", '"hots" is not a filter of taps; write "host", "path"'),
        ("host", "a.example:80", "without a port"),
        ("host", "", "is not a host"),
        ("path", "v1", "is not the beginning of a path"),
        ("method", "G T", "is not a method"),
        ("status", "600", 'write such as "404", "5xx" or "400-499"'),
        ("status", "5x", "is not a status"),
        ("client", "192.0.2", "is not an address"),
        ("slower", "long", "is not a duration"),
        ("headers", "yes", 'write "true"'),
        ("route", "apii", 'the served config has no route "apii"; did you mean "api"'),
        ("upstream", "none", 'has no upstream "none"; write "app"'),
    ],
)
def test_what_is_no_filter_is_refused_with_what_is_allowed(key: str, value: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        of(**{key: value})
    assert said in str(refused.value)


def test_a_part_comes_once() -> None:
    with pytest.raises(Invalid, match="given twice"):
        tap_filter([("path", "/a"), ("path", "/b")], NAMED)


def test_a_config_without_names_says_so() -> None:
    with pytest.raises(Invalid, match="write none"):
        tap_filter([("upstream", "app")], {})
