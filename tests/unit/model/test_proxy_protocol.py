"""`proxy_protocol` of listeners and upstreams: what it becomes in the plan, and what is refused."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Listener, ProxyProtocol, Upstream

TEXT = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
{listener}
[routes.all]
upstream = "u"
[upstreams.u]
endpoints = ["127.0.0.1:1"]
{upstream}
"""


def loaded(listener: str = "", upstream: str = "") -> Loaded:
    text = TEXT.format(listener=listener, upstream=upstream)
    return load([PurePath("a.toml")], MemoryFiles({"a.toml": text}), {})


def listener_of(found: Loaded) -> Listener:
    assert found.plan is not None, [str(one) for one in found.errors]
    value = found.plan.objects[ObjectKey("listener", ObjectName("web"))].value
    assert isinstance(value, Listener)
    return value


def test_a_header_is_required_unless_the_listener_says_otherwise() -> None:
    assert listener_of(loaded()).client_ip.proxy_protocol is None
    plain = loaded('proxy_protocol = { trusted = ["10.0.0.0/8", "10.0.0.0/8", "::1"] }')
    assert listener_of(plain).client_ip.proxy_protocol == ProxyProtocol(("10.0.0.0/8", "::1/128"))
    words = 'proxy_protocol = { mode = "optional", trusted = ["::1"], timeout = "5s" }'
    expected = ProxyProtocol(("::1/128",), "optional", 5_000)
    assert listener_of(loaded(words)).client_ip.proxy_protocol == expected


@pytest.mark.parametrize(
    ("listener", "said"),
    [
        ("proxy_protocol = {}", "listeners.web.proxy_protocol"),
        ("proxy_protocol = { trusted = [] }", "listeners.web.proxy_protocol.trusted"),
        ('proxy_protocol = { trusted = ["x"] }', "listeners.web.proxy_protocol.trusted[0]"),
        (
            'proxy_protocol = { trusted = ["::1"], timeout = "off" }',
            "listeners.web.proxy_protocol.timeout",
        ),
        (
            'proxy_protocol = { trusted = ["::1"], mode = "auto" }',
            "listeners.web.proxy_protocol.mode",
        ),
    ],
)
def test_what_nobody_can_send_is_refused(listener: str, said: str) -> None:
    found = loaded(listener)
    assert found.plan is None
    assert any(said in str(one) for one in found.errors), [str(one) for one in found.errors]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_version_for_endpoints_reaches_the_plan(version: str) -> None:
    found = loaded(upstream=f'proxy_protocol = "{version}"')
    assert found.plan is not None
    value = found.plan.objects[ObjectKey("upstream", ObjectName("u"))].value
    assert isinstance(value, Upstream)
    assert value.pool.proxy_protocol == version


@pytest.mark.parametrize("protocol", ['"h2"\ntls = {}', '"auto"\ntls = {}', '"h2c"'])
def test_connections_that_clients_share_tell_of_none(protocol: str) -> None:
    found = loaded(upstream=f'proxy_protocol = "v2"\nprotocol = {protocol}')
    word = protocol.split('"')[1]
    (error,) = found.errors
    assert str(error) == (
        "a.toml:10:18: upstreams.u.proxy_protocol: a PROXY header tells of one client, and over "
        f'"{word}" clients share connections; write protocol = "http1", or leave `proxy_protocol` '
        "out"
    )
