"""A node inside a program: it serves, is changed, and is gone afterwards."""

import asyncio
import http.client
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import loops
import pytest
from tls_authority import Authority
from waiting import DEADLINE_S, until

from headgate import ConfigError, Listener, PathMatch, Proxy, ProxyError, Route, TlsConfig
from headgate.library import placing
from headgate.testing import Upstream, assert_routes

WEB = Listener()


def fetch(proxy: Proxy, path: str = "/") -> tuple[int, str]:
    client = http.client.HTTPConnection(proxy.address(), timeout=DEADLINE_S)
    try:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()


def config(address: str, **routes: Route) -> dict[str, object]:
    all_routes = {"all": Route(upstream="app")} | routes
    return {
        "listeners": {"web": WEB},
        "routes": all_routes,
        "upstreams": {"app": {"endpoints": [address]}},
    }


def test_a_program_serves_through_it_and_leaves_nothing(
    upstream: Callable[[str], Upstream],
) -> None:
    app = upstream("hello")
    with Proxy(config(app.address)) as proxy:
        assert fetch(proxy, "/a?b") == (200, "hello")
        assert app.seen[-1].target == "/a?b"
        assert app.seen[-1].headers["x-forwarded-for"] == "127.0.0.1"
        found = proxy.explain(proxy.url("/a"))
        assert found["won"]
        assert "http_requests_total" in proxy.metrics()
        assert proxy.status()["ready"]
        node = proxy._node
        assert node is not None
        folder, process = node._folder, node._process
    assert process.returncode == 0
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        fetch(proxy)
    with pytest.raises(ProxyError, match="does not run"):
        proxy.status()


def test_a_change_loses_no_connection_and_a_wrong_one_changes_nothing(
    upstream: Callable[[str], Upstream],
) -> None:
    app = upstream("hello")
    with Proxy(config(app.address)) as proxy:
        address = proxy.address()
        kept = http.client.HTTPConnection(address, timeout=DEADLINE_S)
        kept.request("GET", "/new")
        assert kept.getresponse().read() == b"hello"
        new = Route(path=PathMatch(prefix="/new"), respond={"body": "new"})
        proxy.reload(config(app.address, new=new))
        assert proxy.address() == address
        kept.request("GET", "/new")
        assert kept.getresponse().read() == b"new"
        with pytest.raises(ConfigError, match=r"routes.new.path_: the key is unknown"):
            proxy.reload(config(app.address, new=Route(upstream="app", more={"path_": 1})))
        kept.request("GET", "/new")
        assert kept.getresponse().read() == b"new"
        kept.close()


def test_a_port_that_another_process_has_is_named(
    upstream: Callable[[str], Upstream],
) -> None:
    app = upstream("hello")
    with Proxy(config(app.address)) as proxy:
        taken = {"listeners": {"web": WEB, "more": Listener(address=app.address)}}
        with pytest.raises(ConfigError, match=f"{app.address}.*[Aa]ddress already in use"):
            proxy.reload(config(app.address) | taken)
        assert fetch(proxy) == (200, "hello")


def test_a_free_port_that_was_taken_before_the_start_is_replaced(
    upstream: Callable[[str], Upstream], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = upstream("hello")
    taken, free = int(app.address.rpartition(":")[2]), placing._free
    ports = iter([taken])
    monkeypatch.setattr(placing, "_free", lambda host: next(ports, None) or free(host))
    with Proxy(config(app.address)) as proxy:
        assert proxy.address() != app.address
        assert fetch(proxy) == (200, "hello")


def test_a_config_that_is_refused_starts_nothing() -> None:
    with pytest.raises(ConfigError, match='there is no upstream "app"'):
        Proxy({"listeners": {"web": WEB}, "routes": {"all": Route(upstream="app")}})


def test_tls_is_served_with_the_listeners_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("a", "127.0.0.1")
    tls = TlsConfig(certificate=pair.cert_file, key=pair.key_file)
    answer = Route(respond={"body": "over TLS"})
    listeners = {"plain": WEB, "safe": Listener(tls=tls)}
    with Proxy({"listeners": listeners, "routes": {"all": answer}}) as proxy:
        assert proxy.url(listener="safe").startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(authority.ca_file))
        address = proxy.address("safe")
        client = http.client.HTTPSConnection(address, timeout=DEADLINE_S, context=trusting)
        client.request("GET", "/")
        assert client.getresponse().read() == b"over TLS"
        client.close()
        assert fetch(proxy) == (200, "over TLS")


def test_it_can_be_awaited_and_two_live_beside_each_other(
    proxy: Callable[[dict[str, object]], Proxy],
) -> None:
    def answering(body: str) -> dict[str, object]:
        return {"listeners": {"web": WEB}, "routes": {"all": Route(respond={"body": body})}}

    async def story() -> tuple[int, str]:
        async with Proxy(answering("one")) as one:
            return await asyncio.to_thread(fetch, one)

    two = proxy(answering("two"))
    assert loops.run(story()) == (200, "one")
    assert fetch(two) == (200, "two")
    with pytest.raises(ProxyError, match="runs already"):
        two.start()


def test_a_node_that_dies_is_told_with_its_log(upstream: Callable[[str], Upstream]) -> None:
    with Proxy(config(upstream("x").address)) as proxy:
        assert proxy._node is not None
        process = proxy._node._process
        os.kill(process.pid, 9)
        process.wait(DEADLINE_S)
        until(lambda: not _answers(proxy), "the end of the node")
        with pytest.raises(ProxyError, match="does not answer"):
            proxy.status()
        assert proxy.log


def _answers(proxy: Proxy) -> bool:
    try:
        proxy.status()
    except ProxyError:
        return False
    return True


def test_routes_are_tested_as_data(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        'listeners.web = { address = "127.0.0.1:80", default = true }\n'
        'routes.all.respond = { body = "x" }\n'
    )
    cases = tmp_path / "cases.toml"
    case = 'config = ["c.toml"]\n[[cases]]\nrequest = "GET http://a/"\nexpect = { body = "%s" }\n'
    cases.write_text(case % "x")
    assert_routes(cases)
    cases.write_text(case % "y")
    with pytest.raises(AssertionError, match='body: expected "y", got "x"'):
        assert_routes(cases, tmp_path / "c.toml")
