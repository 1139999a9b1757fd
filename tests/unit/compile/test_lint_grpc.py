"""A route for gRPC towards endpoints that speak HTTP/1.1 is said before calls are refused."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.lints import lints
from headgate.compile.load import load

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[upstreams.old]
endpoints = ["127.0.0.1:1"]
[upstreams.new]
endpoints = ["127.0.0.1:2"]
protocol = "h2c"
[routes.api]
"""
BY_RETRY = '[routes.api.retry]\non = ["grpc-unavailable"]\n'
BY_TYPE = '[routes.api.match.headers.content-type]\nprefix = "application/grpc"\n'


def said(text: str) -> list[str]:
    """The lints of a config, as places and texts."""
    loaded = load([PurePath("a.toml")], MemoryFiles({"a.toml": BASE + text}), {})
    assert loaded.diagnostics == ()
    return [str(one) for one in lints(loaded) if "gRPC" in one.message]


@pytest.mark.parametrize(
    ("meant", "path"),
    [
        (BY_RETRY, "routes.api.retry.on[0]"),
        (BY_TYPE, "routes.api.match[0].headers.content-type"),
    ],
)
def test_a_route_for_grpc_towards_http1_is_said_at_its_place(meant: str, path: str) -> None:
    (only,) = said('upstream = "old"\n' + meant)
    assert path in only
    assert 'calls of gRPC are refused with 501: endpoints of "old" speak HTTP/1.1' in only
    assert 'write `protocol` "h2c", "h2" or "auto" in [upstreams.old]' in only


def test_a_split_is_said_for_the_part_that_cannot_take_calls() -> None:
    parts = 'split = [{ upstream = "old" }, { upstream = "new" }]\n'
    (only,) = said(parts + BY_RETRY)
    assert '"old"' in only


@pytest.mark.parametrize(
    "text",
    [
        'upstream = "new"\n' + BY_RETRY,
        'upstream = "new"\n' + BY_TYPE,
        'upstream = "old"\n',
        'upstream = "old"\n[routes.api.retry]\non = ["503"]\n',
        'upstream = "old"\nmatch = { path = { prefix = "/grpc" } }\n',
    ],
)
def test_other_routes_are_not_said(text: str) -> None:
    assert said(text) == []
