"""What a release has where endpoints change without a reload, without asking nginx."""

from dataclasses import replace

import pytest
from nginx_engine import target

from headgate.engines.nginx.common.types import Capabilities, Rendered, Target
from headgate.engines.nginx.render import render
from headgate.plan.balance import Balance
from headgate.plan.objects import Action, Endpoint, Listener, Match, Route, Upstream
from headgate.plan.plan import Plan, entry, plan_of

MODULES = {"ndk_http": "/m/ndk.so", "http_lua": "/m/lua.so"}
ABLE = Capabilities("", "", "", frozenset({"zone", "keepalive", "lua_balancer"}), MODULES)
TARGET = replace(target("/state", ABLE), endpoints="lua")


def plan(*addresses: str, balance: str = "round_robin") -> Plan:
    upstream = Upstream(tuple(map(Endpoint, addresses)), balance=Balance.decoded(balance))
    return plan_of(
        [
            entry("listener", "web", Listener(("127.0.0.1:80",), "http")),
            entry("route", "all", Route(("*",), ("web",), Action(upstream="app"), (Match(),))),
            entry("upstream", "app", upstream),
        ]
    )


def files(of: Plan, on: Target = TARGET) -> dict[str, bytes]:
    made = render(of, {}, on)
    assert isinstance(made, Rendered), made
    return {file.path: file.content for file in made.files}


def test_endpoints_are_no_part_of_a_release() -> None:
    first = files(plan("127.0.0.1:1"))
    assert first == files(plan("127.0.0.1:1", "127.0.0.1:2", "[::1]:3")) == files(plan())
    assert first["lua/upstreams"] == b"app\n"
    assert b"127.0.0.1" not in first["upstreams.conf"]


def test_modules_are_loaded_first() -> None:
    words = files(plan("127.0.0.1:1"))["nginx.conf"].split()
    assert words.index(b"/m/ndk.so;") < words.index(b"/m/lua.so;") < words.index(b"events")


@pytest.mark.parametrize(
    ("address", "balance"), [("app.internal:80", "round_robin"), ("127.0.0.1:1", "least_conn")]
)
def test_what_cannot_be_in_the_table_stays_and_a_note_says_so(address: str, balance: str) -> None:
    able = replace(
        TARGET, capabilities=Capabilities("", "", "", ABLE.accepted | {"least_conn"}, MODULES)
    )
    made = render(plan(address, balance=balance), {}, able)
    assert isinstance(made, Rendered)
    assert any("upstream app: endpoints: they change by a reload" in one for one in made.notes)
    found = {file.path: file.content for file in made.files}
    assert address.encode() in found["upstreams.conf"]
    assert found["lua/upstreams"] == b""


def test_by_default_there_is_no_lua() -> None:
    found = files(plan("127.0.0.1:1"), replace(TARGET, endpoints="reload"))
    assert not any(path.startswith("lua/") for path in found)
    assert not any(b"lua" in content for content in found.values())


@pytest.mark.parametrize(
    ("on", "why"),
    [
        (replace(TARGET, capabilities=Capabilities("", "", "", frozenset())), "no Lua balancer"),
        (replace(TARGET, root="/a;b"), "contains"),
    ],
)
def test_what_nginx_cannot_do_is_refused_at_its_key(on: Target, why: str) -> None:
    found = render(plan("127.0.0.1:1"), {}, on)
    assert isinstance(found, list)
    refused = [one for one in found if one.path == "nginx.endpoints"]
    assert [(one.kind, one.name) for one in refused] == [("settings", "node")]
    assert why in refused[0].message


def test_names_of_upstreams_are_strings_of_lua() -> None:
    name = 'a") os.exit() --\\é'
    of = plan_of([entry("upstream", name, Upstream((Endpoint("127.0.0.1:1"),)))])
    assert (
        rb'in_turn("a\034\041\032os\046exit\040\041\032--\092\195\169")'
        in files(of)["upstreams.conf"]
    )
