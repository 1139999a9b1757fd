"""Services that are asked about requests, whose balancer hashes what they are not sent."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.lints import lints
from headgate.compile.load import load

TOP = """\
[listeners.web]
address = "127.0.0.1:1"
default = true
[upstreams.auth]
endpoints = ["127.0.0.1:2", "127.0.0.1:3"]
balance = {{ {balancer} = {{ key = "{key}" }} }}
[routes.r]
respond = {{ body = "in" }}
middlewares = ["sso"]
[middlewares.sso.forward_auth]
upstream = "auth"
{options}
"""


def warned(key: str, options: str, balancer: str = "ring_hash", node: str = "") -> list[str]:
    text = TOP.format(key=key, options=options, balancer=balancer) + node
    loaded = load([PurePath("c.toml")], MemoryFiles({"c.toml": text}), {})
    assert loaded.plan is not None, loaded.diagnostics
    return [str(one) for one in lints(loaded)]


@pytest.mark.parametrize("balancer", ["ring_hash", "maglev"])
@pytest.mark.parametrize(
    ("key", "options", "place", "added"),
    [
        ("header:X-User", 'headers = ["accept"]', "c.toml:12:1: ", "x-user"),
        ("header:x-user", "", "c.toml:10:", "x-user"),
        ("cookie:sid", 'headers = ["accept"]', "c.toml:12:1: ", "cookie"),
        ("cookie:sid", 'cookies = ["other"]', "c.toml:12:1: ", "sid"),
    ],
)
def test_what_is_hashed_and_does_not_go_along_is_told(
    key: str, options: str, place: str, added: str, balancer: str
) -> None:
    (only,) = warned(key, options, balancer)
    assert only.startswith(place)
    assert ": middlewares.sso.forward_auth." in only
    assert '"auth" balances by the ' in only
    assert f'write "{added}" beside the other names' in only


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("header:x-user", 'headers = ["X-User"]'),
        ("header:x-user", 'headers = "all"'),
        ("header:x-request-id", 'headers = ["accept"]'),
        ("header:host", 'headers = ["accept"]'),
        ("cookie:sid", ""),
        ("cookie:sid", 'cookies = ["sid", "other"]'),
        ("client_ip", 'headers = ["accept"]'),
        ("path", 'headers = ["accept"]'),
    ],
)
def test_what_goes_along_is_not(key: str, options: str) -> None:
    assert warned(key, options) == []


def test_nginx_hashes_what_the_client_sent() -> None:
    node = '[node]\nengine = "nginx"\n'
    assert warned("header:x-user", 'headers = ["accept"]', node=node) == []


def test_a_middleware_of_a_route_is_named_by_its_place() -> None:
    text = TOP.format(key="header:x-user", options="", balancer="ring_hash").replace(
        'middlewares = ["sso"]', 'middlewares = ["sso", { forward_auth = { upstream = "auth" } }]'
    )
    loaded = load([PurePath("c.toml")], MemoryFiles({"c.toml": text}), {})
    told = "\n".join(str(one) for one in lints(loaded))
    assert "routes.r.middlewares[1].forward_auth.headers: " in told
