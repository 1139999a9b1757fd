"""Chains in which browsers' preflights need credentials."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.lints import lints
from headgate.compile.load import load

TOP = """
[listeners.web]
address = "127.0.0.1:1"
default = true
[upstreams.auth]
endpoints = ["127.0.0.1:2"]
[middlewares]
site.cors = { allow_origins = ["https://a.example"] }
sso.forward_auth = { upstream = "auth" }
shop.api_key.keys.shop = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
office.ip_access.allow = ["192.0.2.0/24"]
"""


def warned(chain: list[str], host: list[str] | None = None) -> list[str]:
    """What is told of a route with a chain, below the chain of its second host."""
    text = f'{TOP}[routes.r]\nrespond = {{ body = "in" }}\nmiddlewares = {chain}\n'
    if host is not None:
        text += f'hosts = ["a.example", "b.example"]\n[hosts."b.example"]\nmiddlewares = {host}\n'
    loaded = load([PurePath("c.toml")], MemoryFiles({"c.toml": text}), {})
    assert loaded.plan is not None, loaded.diagnostics
    return [str(one) for one in lints(loaded) if "preflights" in str(one)]


@pytest.mark.parametrize("first", ["sso", "shop"])
def test_cors_after_what_wants_credentials_is_told(first: str) -> None:
    (only,) = warned([first, "office", "site"])
    assert "routes.r.middlewares[2]: `" in only
    assert "write `cors` before it" in only


def test_cors_after_what_the_host_wants_is_told() -> None:
    (only,) = warned(["office", "site"], ["sso"])
    assert 'routes.r.middlewares[1]: `forward_auth` in hosts."b.example".middlewares ' in only
    assert "write `cors` there, before it" in only


def test_what_is_wrong_in_one_list_is_told_once() -> None:
    assert len(warned(["sso", "site"], ["sso"])) == 1
    (only,) = warned(["site"], ["sso", "site"])
    assert 'hosts."b.example".middlewares[1]: `' in only


def test_other_orders_are_not() -> None:
    for chain in (["site", "sso"], ["office", "site"], ["sso"], ["site"], ["site", "sso", "site"]):
        assert warned(chain) == []
    for host in (["office"], ["site", "sso"], ["site"], []):
        assert warned(["site", "sso"], host) == []
