"""`sticky` of a route: clients stay at their branch of a weighted split."""

import http.client
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from waiting import DEADLINE_S, until

from headgate import Listener, Proxy
from headgate.testing import Upstream

KEY, NEXT_KEY = "k" * 40, "n" * 40


@pytest.fixture
def servers() -> Iterator[dict[str, Upstream]]:
    """Two servers that answer with their names."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(Upstream(name)) for name in ("old", "new")}


@pytest.fixture
def keys(tmp_path: Path) -> list[dict[str, str]]:
    """The files of two keys."""
    paths = [tmp_path / "first.key", tmp_path / "next.key"]
    for path, text in zip(paths, (KEY, NEXT_KEY), strict=True):
        path.write_text(text + "\n")
        path.chmod(0o600)
    return [{"file": str(path)} for path in paths]


def config(
    servers: Mapping[str, Upstream], sticky: Mapping[str, object], **weights: int
) -> dict[str, object]:
    split = [{"upstream": name, "weight": weight} for name, weight in weights.items()]
    return {
        "listeners": {"web": Listener()},
        "routes": {"all": {"split": split, "sticky": dict(sticky)}},
        "upstreams": {name: {"endpoints": [one.address]} for name, one in servers.items()},
    }


def ask(proxy: Proxy, **headers: str) -> tuple[str, str | None]:
    """The branch's answer, and the `Set-Cookie` that came with it."""
    client = http.client.HTTPConnection(proxy.address(), timeout=DEADLINE_S)
    try:
        client.request("GET", "/", headers=headers)
        answer = client.getresponse()
        return answer.read().decode(), answer.getheader("set-cookie")
    finally:
        client.close()


def clients(proxy: Proxy, count: int) -> list[tuple[str, str]]:
    """Branches of new clients, with their cookies."""
    found = []
    for _ in range(count):
        body, cookie = ask(proxy)
        assert cookie is not None
        found.append((body, cookie.split(";")[0]))
    return found


def test_clients_keep_their_branch_while_weights_change(
    servers: dict[str, Upstream], keys: list[dict[str, str]]
) -> None:
    sticky = {"cookie": "branch", "keys": keys[:1]}
    with Proxy(config(servers, sticky, old=1, new=1)) as proxy:
        known = clients(proxy, 40)
        assert {body for body, _ in known} == {"old", "new"}
        proxy.reload(config(servers, sticky, new=1, old=9_999))
        for body, cookie in known:
            assert ask(proxy, cookie=f"x=1; {cookie}") == (body, None)
        proxy.reload(config(servers, sticky, old=0, new=1))
        old = next(cookie for body, cookie in known if body == "old")
        body, moved = ask(proxy, cookie=old)
        assert (body, moved is None) == ("new", False)
        counted = 'headgate_split_requests_total{route="all",result="%s"} %d\n'
        for result, count in (("moved", 1), ("kept", 40), ("new", 40)):
            until(lambda: counted % (result, count) in proxy.metrics(), result)  # noqa: B023


def test_a_cookie_holds_at_every_node_with_the_key(
    servers: dict[str, Upstream], keys: list[dict[str, str]]
) -> None:
    def node(*own: dict[str, str]) -> Proxy:
        return Proxy(config(servers, {"cookie": "branch", "keys": list(own)}, old=1, new=1))

    with node(keys[0]) as one, node(keys[1], keys[0]) as rotated, node(keys[1]) as other:
        body, cookie = clients(one, 1)[0]
        assert ask(rotated, cookie=cookie) == (body, None)
        assert ask(other, cookie=cookie)[1] is not None
        counted = 'headgate_split_requests_total{route="all",result="forged"} 1\n'
        until(lambda: counted in other.metrics(), "the counter")


@pytest.mark.parametrize("forged", ["branch=", "branch=" + "f" * 60, "branch=" + "0" * 4000])
def test_forged_cookies_are_replaced_and_counted(
    servers: dict[str, Upstream], keys: list[dict[str, str]], forged: str
) -> None:
    sticky = {"cookie": "branch", "keys": keys[:1]}
    with Proxy(config(servers, sticky, old=1, new=0)) as proxy:
        body, cookie = ask(proxy, cookie=forged)
        assert (body, cookie is None) == ("old", False)
        counted = 'headgate_split_requests_total{route="all",result="forged"} 1\n'
        until(lambda: counted in proxy.metrics(), "the counter")


def test_the_cookie_has_its_attributes_beside_what_middlewares_add(
    servers: dict[str, Upstream], keys: list[dict[str, str]]
) -> None:
    sticky = {"cookie": "branch", "keys": keys[:1], "ttl": "1h", "same_site": "strict"}
    made = config(servers, sticky, old=1)
    limit = {"concurrency_limit": {"requests": 1}}
    made["routes"] = {
        "all": {"split": [{"upstream": "old"}], "sticky": sticky, "middlewares": [limit]}
    }
    cookies: list[str | None] = []
    with Proxy(made) as proxy:
        for _ in range(3):  # each gives its place back, perhaps after the client has its answer
            until(partial(passes, proxy, cookies), "a place")
            assert str(cookies[-1]).endswith("; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict")


def passes(proxy: Proxy, cookies: list[str | None]) -> bool:
    """Whether the branch answers, not the limit; adds the cookie."""
    body, cookie = ask(proxy)
    cookies.append(cookie)
    return body == "old"


def test_by_a_header_users_join_a_canary_that_grows_and_never_leave_it(
    servers: dict[str, Upstream],
) -> None:
    sticky = {"by": ["header:x-user", "client_ip"]}
    users = [f"user{n}" for n in range(60)]
    with Proxy(config(servers, sticky, old=80, new=20)) as proxy:
        few = {user for user in users if ask(proxy, **{"x-user": user})[0] == "new"}
        proxy.reload(config(servers, sticky, old=40, new=60))
        more = {user for user in users if ask(proxy, **{"x-user": user})[0] == "new"}
        assert few < more < set(users)
        # Without the header the address decides, which stays.
        assert len(Counter(ask(proxy) for _ in range(8))) == 1
        counted = 'headgate_split_requests_total{route="all",result="hashed"} 128\n'
        until(lambda: counted in proxy.metrics(), "the counter")


def test_an_affinity_cookie_is_signed_with_keys(
    servers: dict[str, Upstream], keys: list[dict[str, str]]
) -> None:
    made = config(servers, {}, old=1)
    made["routes"] = {"all": {"upstream": "app"}}
    endpoints = [one.address for one in servers.values()]
    made["upstreams"] = {
        "app": {"endpoints": endpoints, "affinity": {"cookie": "at", "keys": keys[:1]}}
    }
    with Proxy(made) as proxy:
        body, cookie = ask(proxy)
        assert cookie is not None
        own = cookie.split(";")[0]
        for _ in range(4):
            assert ask(proxy, cookie=own) == (body, None)
        unsigned = own.split(".")[0]
        assert ask(proxy, cookie=unsigned)[1] is not None
        counted = 'headgate_upstream_affinity_total{upstream="app",outcome="forged"} 1\n'
        until(lambda: counted in proxy.metrics(), "the counter")
        assert KEY not in str(proxy.explain(proxy.url()))
