"""`mirror` of a route: copies of requests go to upstreams whose answers nobody gets."""

import http.client
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler

import pytest
from http_server import serving_http
from waiting import DEADLINE_S, until

from headgate import Listener, Proxy
from headgate.testing import Upstream

AWAY = "127.0.0.1:1"
RESULTS = re.compile(
    r'^headgate_mirror_requests_total\{route="all",upstream="(\w+)",result="(\w+)"\} ([1-9]\d*)$',
    re.M,
)


@pytest.fixture
def servers() -> Iterator[dict[str, Upstream]]:
    """A server that answers, and one that gets copies."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(Upstream(name)) for name in ("live", "shadow")}


def config(addresses: Mapping[str, str], **mirror: object) -> dict[str, object]:
    route: dict[str, object] = {"upstream": "live"}
    if mirror:
        route["mirror"] = {"upstream": "shadow"} | mirror
    return {
        "listeners": {"web": Listener()},
        "routes": {"all": route},
        "upstreams": {name: {"endpoints": [address]} for name, address in addresses.items()},
    }


def of(servers: Mapping[str, Upstream]) -> dict[str, str]:
    return {name: server.address for name, server in servers.items()}


def ask(proxy: Proxy, count: int = 1, body: bytes | None = None) -> None:
    """Sends requests over one connection; each must get the answer of its own upstream."""
    client = http.client.HTTPConnection(proxy.address(), timeout=DEADLINE_S)
    try:
        for number in range(count):
            client.request("POST" if body else "GET", f"/{number}", body)
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b"live")
    finally:
        client.close()


def counted(proxy: Proxy, upstream: str = "shadow") -> dict[str, int]:
    found = RESULTS.findall(proxy.metrics())
    return {result: int(count) for name, result, count in found if name == upstream}


def wants(proxy: Proxy, upstream: str = "shadow", **results: int) -> None:
    """Waits until so many requests have each result with an upstream, and none has another."""
    until(lambda: counted(proxy, upstream) == results, f"{upstream}: {results}")


def test_a_share_is_exact_on_all_workers(servers: dict[str, Upstream]) -> None:
    made = config(of(servers), percent=12.5, max_in_flight=1_000)
    with Proxy(made, workers=2) as proxy:
        for _ in range(16):
            ask(proxy, 5)
        wants(proxy, answered=10)
        copies = [
            one for one in servers["shadow"].seen if one.headers["x-headgate-mirror"] == "all"
        ]
        assert (len(servers["live"].seen), len(copies)) == (80, 10)
        originals = {one.headers["x-request-id"]: one.target for one in servers["live"].seen}
        assert all(originals[one.headers["x-request-id"]] == one.target for one in copies)


def test_a_mirror_that_is_away_or_answers_errors_changes_nothing(
    servers: dict[str, Upstream],
) -> None:
    with Proxy(config({"live": servers["live"].address, "shadow": AWAY}, percent=100)) as proxy:
        ask(proxy, 5)
        wants(proxy, failed=5)
        servers["shadow"].status = 503
        proxy.reload(config(of(servers), percent=100))
        ask(proxy, 5)
        wants(proxy, failed=5, error=5)
        page = re.sub(r".* 0\n", "", proxy.metrics())
        assert "headgate_rejects_total{" not in page
        assert 'http_requests_total{method="GET",status="503"' not in page


def test_bodies_go_along_up_to_their_limit(servers: dict[str, Upstream]) -> None:
    with Proxy(config(of(servers), max_body="100KiB")) as proxy:
        for size in (1, 40_000, 100 << 10, (100 << 10) + 1, 3_000_000):
            ask(proxy, body=b"x" * size)
        wants(proxy, answered=3, too_large=2)
        assert sorted(len(one.body) for one in servers["shadow"].seen) == [1, 40_000, 100 << 10]


def test_a_slow_mirror_holds_up_nobody_and_outlives_a_reload(servers: dict[str, Upstream]) -> None:
    arrived, goes_on = threading.Semaphore(0), threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            arrived.release()
            goes_on.wait(60)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Is silent."""

    with serving_http(Slow) as port:
        addresses = {"live": servers["live"].address, "shadow": f"127.0.0.1:{port}"}
        keys: dict[str, object] = {"timeout": "5m", "max_in_flight": 2}
        with Proxy(config(addresses, **keys)) as proxy:
            ask(proxy, 10)
            wants(proxy, dropped=8)
            assert all(arrived.acquire(timeout=60) for _ in range(2))
            del addresses["shadow"]
            proxy.reload(config(addresses))
            ask(proxy, 10)
            goes_on.set()
            addresses["shadow"] = servers["shadow"].address
            proxy.reload(config(addresses, **keys))

            def is_copied() -> bool:
                ask(proxy)  # dropped while the copies to the old mirror have not ended
                return bool(servers["shadow"].seen)

            until(is_copied, "a copy to the new mirror")
            until(lambda: counted(proxy).get("answered", 0) >= 1, "its answer")
            assert servers["shadow"].seen[0].target == "/0"


def test_two_mirrors_know_nothing_of_each_other(servers: dict[str, Upstream]) -> None:
    hangs = threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hangs.wait(DEADLINE_S)

        def log_message(self, format: str, *args: object) -> None:
            """Is silent."""

    with serving_http(Silent) as port:
        made = config(of(servers) | {"canary": f"127.0.0.1:{port}"})
        route = {"upstream": "live"}
        shadow = {"upstream": "shadow", "percent": 50, "max_body": "8B"}
        canary = {"upstream": "canary", "max_in_flight": 1, "timeout": "5m"}
        with Proxy(made | {"routes": {"all": route | {"mirror": [shadow, canary]}}}) as proxy:
            ask(proxy, 10, b"x" * 8)
            wants(proxy, answered=5)
            wants(proxy, "canary", dropped=9)
            ask(proxy, 10, b"x" * 9)
            wants(proxy, answered=5, too_large=5)
            wants(proxy, "canary", dropped=19)
            assert len(servers["live"].seen) == 20
            assert all(one.body == b"x" * 8 for one in servers["shadow"].seen)
            # One of them goes, and the counts and the places of the other stay.
            proxy.reload(made | {"routes": {"all": route | {"mirror": canary}}})
            ask(proxy, 1, b"x")
            wants(proxy, "canary", dropped=20)
            assert len(servers["shadow"].seen) == 5
        hangs.set()


def test_explain_names_each_mirror(servers: dict[str, Upstream]) -> None:
    made = config(of(servers) | {"canary": AWAY})
    mirrors = [{"upstream": "shadow", "percent": 0.5}, {"upstream": "canary"}]
    routes = {"all": {"upstream": "live", "mirror": mirrors}}
    with Proxy(made | {"routes": routes}) as proxy:
        won = proxy.explain("http://a.example/")["won"]
        assert isinstance(won, dict)
        assert [told.partition(",")[0] for told in won["mirror"]] == [
            "0.5 % of the requests go to upstream shadow",
            "100 % of the requests go to upstream canary",
        ]
        assert [one["name"] for one in won["mirrored"]] == ["shadow", "canary"]
