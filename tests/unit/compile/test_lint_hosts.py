"""Hosts with middlewares that do not run for all that the rest of their table is for."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.lints import lints
from headgate.compile.load import load

TOP = """
[listeners.web]
address = "127.0.0.1:1"
default = true
[upstreams.u]
endpoints = ["127.0.0.1:2"]
[middlewares]
sso.forward_auth = { upstream = "u" }
small.compress = {}
"""


def warned(text: str, wild: str = "*.corp.example", uses: str = '["sso"]') -> list[str]:
    """What is told of a host and more of a config."""
    written = f'{TOP}[hosts."{wild}"]\nmiddlewares = {uses}\n{text}'
    loaded = load([PurePath("c.toml")], MemoryFiles({"c.toml": written}), {})
    assert loaded.plan is not None, loaded.diagnostics
    return [str(one) for one in lints(loaded)]


def route(*hosts: str, uses: str = "[]", action: str = 'upstream = "u"', name: str = "app") -> str:
    return f"[routes.{name}]\nhosts = {list(hosts)}\nmiddlewares = {uses}\n{action}\n"


WILD = route("*.corp.example", name="wild")


@pytest.mark.parametrize("wild", ["*.corp.example", "*.example", "*"])
def test_a_name_that_a_host_covers_but_does_not_guard_is_told(wild: str) -> None:
    for more in ("", route(wild, name="wild")):
        assert warned(route("app.corp.example") + more, wild) == [
            f'c.toml:11:1: warning: hosts."{wild}".middlewares: "app.corp.example" is served '
            f'without them: they run where `hosts` of a route has "{wild}" itself; '
            'name them in [routes.app] too, or, if it is meant, write [hosts."app.corp.example"], '
            "which takes the place of this whole table"
        ]


def test_all_names_of_a_host_are_told_of_at_once() -> None:
    (only,) = warned(
        route("b.corp.example", "*.corp.example", "*.a.corp.example")
        + route("c.corp.example", "b.corp.example", name="other")
    )
    assert '"*.a.corp.example" and 2 other hosts are served without them' in only
    assert "[routes.app]" in only


def test_the_most_specific_host_counts() -> None:
    """One of its own says what a name is to have, if only by leaving it out."""
    own = '[hosts."app.corp.example"]\n'
    assert warned(WILD + route("app.corp.example") + own) == []
    nearer = '[hosts."*.a.corp.example"]\n'
    assert warned(WILD + route("app.a.corp.example") + nearer) == []
    (only,) = warned(WILD + route("app.a.corp.example") + nearer + 'middlewares = ["small"]\n')
    assert 'hosts."*.a.corp.example".middlewares: ' in only


def test_a_route_that_names_them_itself_is_not_told_of() -> None:
    named = route("app.corp.example", uses='["small", "sso"]')
    assert warned(WILD + named) == []
    (only,) = warned(WILD + named, uses='["sso", { compress = {} }]')
    assert '"app.corp.example" is served without them' in only


@pytest.mark.parametrize("action", ['redirect = { host = "a.example" }', 'respond = { body = "" }'])
def test_a_route_that_answers_by_itself_is_not_told_of(action: str) -> None:
    assert warned(WILD + route("app.corp.example", action=action)) == []


def test_other_names_are_not_told_of() -> None:
    others = route("corp.example", "a.example", "corp.example.net", "*", "*.example")
    assert warned(WILD + others) == []
    assert warned(route("app.corp.example"), uses="[]") == []
    assert warned(route("*"), "*") == []


@pytest.mark.parametrize("more", ["", route("*"), route("a.example")])
def test_a_host_that_no_route_names_is_told(more: str) -> None:
    (only,) = warned(more or route("a.example"), "app.corp.example")
    assert only == (
        'c.toml:11:1: warning: hosts."app.corp.example".middlewares: they never run: no route has '
        'this host; write `hosts = "app.corp.example"` in a route, or leave them out'
    )
