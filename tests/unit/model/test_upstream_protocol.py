"""`protocol` of an upstream: what it becomes in the plan, and what it does not go with."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Upstream

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
upstream = "u"
[upstreams.u]
endpoints = ["127.0.0.1:1"]
"""


def loaded(rest: str) -> Loaded:
    return load([PurePath("a.toml")], MemoryFiles({"a.toml": BASE + rest}), {})


@pytest.mark.parametrize(
    ("rest", "protocol"),
    [
        ("", "http1"),
        ('protocol = "http1"', "http1"),
        ('protocol = "h2c"', "h2c"),
        ('protocol = "h2"\ntls = {}', "h2"),
        ('protocol = "auto"\ntls = {}\nhealth_check = {}', "auto"),
        ('protocol = "h2c"\nhealth_check = { protocol = "tcp" }', "h2c"),
    ],
)
def test_the_protocol_reaches_the_plan(rest: str, protocol: str) -> None:
    found = loaded(rest)
    assert found.plan is not None, [str(one) for one in found.errors]
    value = found.plan.objects[ObjectKey("upstream", ObjectName("u"))].value
    assert isinstance(value, Upstream)
    assert value.protocol == protocol


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (
            'protocol = "h2"',
            'a.toml:9:12: upstreams.u.protocol: "h2" is agreed on in a TLS handshake, and the '
            'upstream has no `tls`; add `tls`, or write "h2c" for HTTP/2 without TLS',
        ),
        (
            'protocol = "auto"',
            'a.toml:9:12: upstreams.u.protocol: "auto" is agreed on in a TLS handshake, and the '
            'upstream has no `tls`; add `tls`, or write "h2c" for HTTP/2 without TLS',
        ),
        (
            'protocol = "h2c"\ntls = {}',
            'a.toml:9:12: upstreams.u.protocol: "h2c" is HTTP/2 without TLS, and the upstream has '
            '`tls`; write "h2", or leave `tls` out',
        ),
        (
            'health_check = { protocol = "grpc" }',
            "a.toml:9:29: upstreams.u.health_check.protocol: a check by grpc needs HTTP/2, and the "
            'endpoints speak HTTP/1.1; write protocol = "h2", or "h2c" without TLS, in the '
            "upstream",
        ),
        (
            'protocol = "http2"',
            'a.toml:9:12: upstreams.u.protocol: "http2" is not allowed here; write "http1", "h2", '
            '"h2c" or "auto"',
        ),
    ],
)
def test_what_does_not_go_together_is_refused_with_its_place(rest: str, said: str) -> None:
    assert [str(one) for one in loaded(rest).errors] == [said]
