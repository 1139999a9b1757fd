"""Routes of a program are matched as a node matches them."""

import copy
import gc
import inspect
import weakref
from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_files import MemoryFiles

from headgate import ConfigError, CookieMatch, HeaderMatch, MethodMatch, PathMatch, Route, Router
from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.library.compiled import text

ROUTES = {
    "exact": Route(path=PathMatch(exact="/v1")),
    "prefix": Route(path=PathMatch(prefix="/v1")),
    "post": Route(path=PathMatch(prefix="/v1"), methods=MethodMatch("POST", "PUT")),
    "tenant": Route(path=PathMatch(prefix="/v1"), headers=(HeaderMatch("X-Tenant", exact="a"),)),
    "numbered": Route(hosts=("*.shop.example",), path=PathMatch(regex="/items/[0-9]+")),
    "shop": Route(hosts=("a.shop.example", "*.shop.example")),
    "inside": Route(path=PathMatch(prefix="/v1"), clients=("10.0.0.0/8",), priority=5),
    "beta": Route(path=PathMatch(prefix="/v1"), cookies=(CookieMatch("channel", exact="beta"),)),
    "bare": Route(path=PathMatch(prefix="/bare"), headers=(HeaderMatch("cookie", present=False),)),
}
ROUTER = Router(ROUTES)
ANSWER = {"respond": {"status": 204}}


@pytest.mark.parametrize(
    ("request_of", "name"),
    [
        (("x.example", "/v1"), "exact"),
        (("x.example", "/v1/a?b"), "prefix"),
        (("x.example", "/v1/%61/../b"), "prefix"),
        (("x.example", "/v12"), None),
        (("x.example", "/v1/a", "PUT"), "post"),
        (("x.example", "/v1/a", "GET", [("x-tenant", "a")]), "tenant"),
        (("x.example", "/v1/a", "GET", [("x-tenant", "b")]), "prefix"),
        (("x.example", "/v1/a", "GET", [("Cookie", "a=b; channel=beta")]), "beta"),
        (("x.example", "/v1/a", "GET", [("Cookie", "Channel=beta")]), "prefix"),
        (("x.example", "/v1/a", "GET", (), "10.1.2.3"), "inside"),
        (("A.Shop.example", "/items/7"), "shop"),
        (("b.shop.example", "/items/7"), "numbered"),
        (("b.shop.example", "/items/x"), "shop"),
        (("x.example", "/bare"), "bare"),
        (("x.example", "/bare", "GET", [("Cookie", "a=b")]), None),
    ],
)
def test_the_best_route_takes_a_request(request_of: tuple[str, str], name: str | None) -> None:
    assert ROUTER.name(*request_of) == name
    assert ROUTER.match(*request_of) is (ROUTES[name] if name else None)


@given(
    host=st.sampled_from(["x.example", "a.shop.example", "b.shop.example"]),
    target=st.sampled_from(["/", "/v1", "/v1/a", "/items/7", "/items/x", "/bare", "/v1%2Fa"]),
    method=st.sampled_from(["GET", "POST"]),
    tenant=st.sampled_from(["", "a", "b"]),
    cookie=st.sampled_from(["", "channel=beta", "channel=1; channel=beta"]),
    client=st.sampled_from(["10.1.1.1", "192.0.2.1", "2001:db8::1"]),
)
def test_a_node_says_the_same(
    host: str, target: str, method: str, tenant: str, cookie: str, client: str
) -> None:
    sent = {"x-tenant": tenant, "cookie": cookie}
    headers = {name: value for name, value in sent.items() if value}
    url = f"http://{host}{target}"
    asked = ROUTING.request(Question(url, method=method, headers=dict(headers), client=client))
    found = ROUTING.find(asked)
    name = ROUTER.name(host, target, method, list(headers.items()), client)
    assert name == (found.route if found else None)


def node() -> Routing:
    routes = {name: route.to_config() | ANSWER for name, route in ROUTES.items()}
    listeners = {"web": {"address": "127.0.0.1:80", "default": True}}
    content = text({"listeners": listeners, "routes": routes})
    loaded = load([PurePath("c.json")], MemoryFiles({"c.json": content}), {})
    assert loaded.plan is not None
    return Routing(loaded.plan)


ROUTING = node()


def test_everything_that_is_wrong_is_told_with_its_place() -> None:
    with pytest.raises(ConfigError) as told:
        Router(
            {
                "one": Route(path=PathMatch(exact="/a", prefix="/b")),
                "two": Route(path=PathMatch(regex="(")),
            }
        )
    lines = str(told.value).splitlines()
    assert lines[0].startswith("config: routes.one.match[0].path: ")
    assert "exclude each other; write exactly one of" in lines[0]
    assert lines[1].startswith("config: routes.two.match[0].path.regex: ")


@pytest.mark.parametrize("target", ["/a%zz", "a", "/%00"])
def test_what_a_node_answers_with_400_is_no_request(target: str) -> None:
    with pytest.raises(ValueError, match=r"percent|path|control|begin"):
        ROUTER.match("x.example", target)


def test_a_client_is_an_address() -> None:
    with pytest.raises(ValueError, match="is not an address"):
        ROUTER.match("x.example", "/", client="nobody")


@pytest.mark.parametrize(
    "headers",
    [
        [("X-TENANT", "a")],
        (("x-tenant", "a"),),
        {"X-Tenant": "a"}.items(),
        [["x-tenant", "a"]],
        (pair for pair in [("x-tenant", "a")]),
    ],
)
def test_headers_are_any_pairs(headers: list[tuple[str, str]]) -> None:
    assert ROUTER.name("x.example", "/v1/a", headers=headers) == "tenant"


@pytest.mark.parametrize("headers", [[("x-tenant",)], ["x-tenant: a"], [1], [("x-tenant", 1)]])
def test_headers_that_are_no_pairs_are_refused(headers: list[tuple[str, str]]) -> None:
    with pytest.raises((TypeError, ValueError)):
        ROUTER.match("x.example", "/v1/a", headers=headers)


def test_a_call_takes_its_arguments_by_name_and_by_place() -> None:
    signature = "(self, /, host, target, method='GET', headers=(), client='127.0.0.1')"
    for method in (Router.match, Router.name):
        assert str(inspect.signature(method)) == signature
    found = ROUTER.match(host="x.example", target="/v1/a", client="10.1.2.3", headers=())
    assert found is Router.match(ROUTER, "x.example", "/v1/a", "GET", (), "10.1.2.3")
    assert found is ROUTES["inside"]


def test_a_host_has_no_case_in_any_alphabet() -> None:
    router = Router({"one": Route(hosts=("xn--bcher-kva.example",), target=1)})
    assert router.match("XN--BCHER-KVA.Example", "/") is not None
    assert router.match("BÜCHER.example", "/") is router.match("bücher.example", "/") is None


def test_copies_share_the_routes() -> None:
    assert copy.copy(ROUTER).match("x.example", "/v1") is ROUTES["exact"]


class Keeper:
    """An object that knows the router which knows it."""

    router: Router


def test_a_router_that_its_own_route_knows_is_collected() -> None:
    keeper = Keeper()
    keeper.router = Router({"one": Route(target=keeper)})
    assert keeper.router.name("x.example", "/") == "one"
    gone = weakref.ref(keeper)
    del keeper
    gc.collect()
    assert gone() is None
