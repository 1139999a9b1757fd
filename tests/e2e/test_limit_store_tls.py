"""The store of limits across nodes over TLS: a real one, whom a node believes to be it, and what
the node says where they do not agree."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from limited import ask
from ports import free_port
from redis_server import RedisServer
from running_node import RunningNode, Upstream
from running_node import config as plain_config
from tls_authority import Authority, Pair
from told import until_health_says, until_metric, until_metric_at_least
from waiting import until

FAILURES: Final = 'headgate_limit_store_failures_total{reason="tls"}'


PROGRAMS = ["redis-server", *(["valkey-server"] if shutil.which("valkey-server") else [])]
LIMIT = """
[node.limit_store]
url = "rediss://127.0.0.1:{store}/1"
nodes = 1
timeout = "10s"
{lines}

[middlewares.few.rate_limit]
rate = "1/d"
burst = 8
key = "header:x-client"
across = "nodes"
when_away = "closed"
"""


@pytest.fixture
def one() -> Iterator[Upstream]:
    upstream = Upstream("one")
    yield upstream
    upstream.close()


def until_counting(node: RunningNode) -> None:
    until(lambda: node.metric("headgate_limit_store_away") == 0, "the store counts")


def secured(
    folder: Path, authority: Authority, pair: Pair, program: str, *more: str
) -> tuple[RedisServer, int]:
    """A store that listens with TLS on another port, too, and that port."""
    port = free_port()
    options = {
        "--tls-port": port,
        "--tls-cert-file": pair.cert_file,
        "--tls-key-file": pair.key_file,
        "--tls-ca-cert-file": authority.ca_file,
    }
    words = [str(word) for pair_ in options.items() for word in pair_]
    return RedisServer(folder, program, *words, *more), port


def config(port: int, upstream: Upstream, store: int, lines: str) -> str:
    """A config whose store has TLS, with these lines about it."""
    used = 'upstream = "app"\nmiddlewares = ["few"]'
    plain = plain_config(port, upstream.address).replace('upstream = "app"', used)
    return plain + LIMIT.format(store=store, lines=lines)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_limit_is_charged_over_tls(folder: Path, one: Upstream, program: str) -> None:
    authority = Authority(folder)
    pair, own = authority.issue("store", "127.0.0.1"), authority.issue("edge", "edge.example")
    auth = ("--requirepass", "word", "--tls-auth-clients", "yes")
    store, place = secured(folder, authority, pair, program, *auth)
    lines = (
        f'password = "word"\ntls = {{ ca_file = "{authority.ca_file}", '
        f'cert_file = "{own.cert_file}", key_file = "{own.key_file}" }}'
    )
    port = free_port()
    with store, RunningNode(folder, config(port, one, place, lines)).until_ready() as node:
        until_counting(node)
        assert ask(port, **{"x-client": "a"}).status == 200
        until(lambda: node.metric("headgate_limit_store_charged_total") >= 1, "a charge")
        store.kill()
        until(lambda: node.metric("headgate_limit_store_away") == 1, "the store is away")
        store.start()
        until_counting(node)


def test_a_name_is_looked_up_and_verified(folder: Path, one: Upstream) -> None:
    authority = Authority(folder)
    pair = authority.issue("store", "store.example")
    store, place = secured(folder, authority, pair, PROGRAMS[0], "--tls-auth-clients", "no")
    lines = f'tls = {{ ca_file = "{authority.ca_file}", verify_name = "store.example" }}'
    port = free_port()
    written = config(port, one, place, lines)
    written = written.replace(f"127.0.0.1:{place}", f"localhost:{place}")
    with store, RunningNode(folder, written).until_ready() as node:
        until_counting(node)


@pytest.mark.parametrize("wrong", ["authority", "name", "stranger", "plain"])
def test_a_store_that_is_another_is_away(folder: Path, one: Upstream, wrong: str) -> None:
    authority, other = Authority(folder), Authority(folder, "another authority")
    pair = authority.issue("store", "other.example" if wrong == "name" else "127.0.0.1")
    asks = "yes" if wrong == "stranger" else "no"
    store, place = secured(folder, authority, pair, PROGRAMS[0], "--tls-auth-clients", asks)
    believed = other if wrong == "authority" else authority
    lines = f'tls = {{ ca_file = "{believed.ca_file}" }}'
    port = free_port()
    used = store.port if wrong == "plain" else place
    with store, RunningNode(folder, config(port, one, used, lines)).until_ready() as node:
        until(lambda: failed(node) >= 1, "the failure")
        why = "invalid peer certificate" if wrong in ("authority", "name") else ""
        # A failure is counted before its reason is noted.
        health = json.loads(until_health_says(node, why))
        assert health["status"] == "degraded" and not health["limit_store"]["ready"]
        assert why in health["limit_store"]["why"]
        if why:
            until_metric_at_least(node, FAILURES, 1)
        until_metric(node, "headgate_limit_store_away", 1)
        assert ask(port, **{"x-client": "a"}).status == 503, "its limit is closed"


def failed(node: RunningNode) -> float:
    """How often the store was not reached, for whatever reason."""
    page = node.admin("GET", "/metrics")[1].decode().splitlines()
    found = [line for line in page if line.startswith("headgate_limit_store_failures_total")]
    return sum(float(line.rpartition(" ")[2]) for line in found)
