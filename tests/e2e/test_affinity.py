"""`affinity`: a client stays at the endpoint that answered it first."""

import http.client
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

import pytest
from waiting import DEADLINE_S, until

from headgate import Listener, Proxy, Route
from headgate.testing import Upstream


def config(
    endpoints: Sequence[object], options: Mapping[str, object] | None = None, **more: object
) -> dict[str, object]:
    upstream = {
        "endpoints": list(endpoints),
        "affinity": {"cookie": "at"} | dict(options or {}),
    } | more
    return {
        "listeners": {"web": Listener()},
        "routes": {"all": Route(upstream="app")},
        "upstreams": {"app": upstream},
    }


def ask(proxy: Proxy, cookie: str | None = None, path: str = "/") -> tuple[str, str | None]:
    """The endpoint's answer, and the `Set-Cookie` that came with it."""
    client = http.client.HTTPConnection(proxy.address(), timeout=DEADLINE_S)
    try:
        client.request("GET", path, headers={"cookie": cookie} if cookie else {})
        answer = client.getresponse()
        return answer.read().decode(), answer.getheader("set-cookie")
    finally:
        client.close()


def new_client(proxy: Proxy) -> tuple[str, str]:
    """The endpoint of a client without a cookie, and the cookie that it gets."""
    body, cookie = ask(proxy)
    assert cookie is not None
    return body, cookie.split(";")[0]


@pytest.fixture
def servers() -> Iterator[dict[str, Upstream]]:
    """Three servers that answer with their names."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(Upstream(name)) for name in ("a", "b", "c")}


def client_of(body: str, proxy: Proxy) -> str:
    """The cookie of a client whose endpoint is the one that answers so."""
    return next(cookie for found, cookie in iter(lambda: new_client(proxy), None) if found == body)


def test_a_client_stays_and_others_are_balanced(servers: dict[str, Upstream]) -> None:
    with Proxy(config([one.address for one in servers.values()])) as proxy:
        clients = [new_client(proxy) for _ in range(6)]
        assert {body for body, _ in clients} == {"a", "b", "c"}
        assert len({cookie for _, cookie in clients}) == 3
        for body, cookie in clients * 3:
            assert ask(proxy, f"x=1; {cookie}") == (body, None)
        assert servers["a"].seen[-1].headers["cookie"].startswith("x=1; at=")
        counted = 'headgate_upstream_affinity_total{upstream="app",outcome="%s"} %d\n'
        until(lambda: counted % ("kept", 18) in proxy.metrics(), "the clients that stay")
        until(lambda: counted % ("new", 6) in proxy.metrics(), "the clients that came")
        assert counted % ("moved", 0) in proxy.metrics()


def test_the_cookie_names_the_same_endpoint_on_another_node(servers: dict[str, Upstream]) -> None:
    addresses = [one.address for one in servers.values()]
    with Proxy(config(addresses)) as one, Proxy(config(addresses[::-1])) as other:
        body, cookie = new_client(one)
        for _ in range(4):
            assert ask(other, cookie) == (body, None)


def test_a_client_moves_when_its_endpoint_is_gone(servers: dict[str, Upstream]) -> None:
    a, b = servers["a"].address, servers["b"].address
    with Proxy(config([a, b])) as proxy:
        cookie = client_of("a", proxy)
        proxy.reload(config([b]))
        body, moved = ask(proxy, cookie)
        assert body == "b"
        assert moved is not None
        assert ask(proxy, moved.split(";")[0]) == ("b", None)
        until(lambda: 'outcome="moved"} 1\n' in proxy.metrics(), "the counter")


def test_a_client_moves_when_its_endpoint_does_not_answer(servers: dict[str, Upstream]) -> None:
    a, b = servers["a"], servers["b"]
    # The server keeps the connections that it has.
    with Proxy(config([a.address, b.address], pool={"max_idle": 0})) as proxy:
        cookie = client_of("a", proxy)
        a.close()
        body, moved = ask(proxy, cookie)
        assert body == "b"
        assert moved is not None


def test_weight_0_keeps_its_clients_and_gets_no_new_ones(servers: dict[str, Upstream]) -> None:
    a, b = servers["a"].address, servers["b"].address
    with Proxy(config([a, b])) as proxy:
        cookie = client_of("a", proxy)
        proxy.reload(config([{"address": a, "weight": 0}, b]))
        assert ask(proxy, cookie) == ("a", None)
        assert {new_client(proxy)[0] for _ in range(4)} == {"b"}


@pytest.mark.parametrize("cookie", ["at=", "at=0123456789abcdef", "at=" + "f" * 300, "at=../a"])
def test_what_no_endpoint_is_named_by_is_replaced(
    servers: dict[str, Upstream], cookie: str
) -> None:
    with Proxy(config([servers["a"].address])) as proxy:
        body, replaced = ask(proxy, cookie)
        assert body == "a"
        assert replaced is not None


def test_the_attributes_of_the_cookie(servers: dict[str, Upstream]) -> None:
    options = {"ttl": "1h", "path": "/shop", "same_site": "strict", "secure": "always"}
    with Proxy(config([servers["a"].address], options)) as proxy:
        _, cookie = ask(proxy)
        assert cookie is not None
        assert cookie.split("; ")[1:] == ["Path=/shop", "Max-Age=3600", *cookie.split("; ")[3:]]
        assert cookie.endswith("; HttpOnly; SameSite=Strict; Secure")


def test_our_own_answers_set_no_cookie(servers: dict[str, Upstream]) -> None:
    servers["a"].close()
    with Proxy(config([servers["a"].address])) as proxy:
        assert ask(proxy)[1] is None
