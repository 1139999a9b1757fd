"""Rate limits that several nodes share through a real store: what they admit together against the
bound on paper, while it counts and while it is killed, hung, filled, or says what is not so."""

import concurrent.futures
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis_talk
from limited import ask, counted, statuses
from ports import free_port
from redis_server import RedisServer
from running_node import RunningNode, Upstream, config
from told import until_status_says
from waiting import until

NODES, BURST = 2, 8
SHARE = BURST // NODES
PROGRAMS = ["redis-server", *(["valkey-server"] if shutil.which("valkey-server") else [])]
LIMIT = """
[node.limit_store]
url = "redis://127.0.0.1:{store}/1"
nodes = {nodes}
timeout = "{timeout}"
{more}

[middlewares.few.rate_limit]
rate = "{rate}"
burst = {burst}
key = "header:x-client"
across = "nodes"
when_away = "{policy}"
"""


def text(port: int, upstream: Upstream, store: int, **other: object) -> str:
    """A config whose one route has a limit across nodes; `other` is what `LIMIT` says besides."""
    used = 'upstream = "app"\nmiddlewares = ["few"]'
    plain = config(port, upstream.address).replace('upstream = "app"', used)
    usual = {"policy": "share", "timeout": "10s", "rate": "1/d", "burst": BURST, "more": ""}
    return plain + LIMIT.format(**usual | {"store": store, "nodes": NODES} | other)


@contextmanager
def nodes(folder: Path, texts: list[str]) -> Iterator[list[RunningNode]]:
    """Nodes, ready, each with the store counting."""
    with ExitStack() as stack:
        found = []
        for index, one in enumerate(texts):
            place = folder / str(index)
            place.mkdir()
            found.append(stack.enter_context(RunningNode(place, one).until_ready()))
        for node in found:
            until_counting(node)
        yield found


def until_counting(node: RunningNode) -> None:
    until(lambda: node.metric("headgate_limit_store_away") == 0, "the store counts")


def until_away(node: RunningNode) -> None:
    until(lambda: node.metric("headgate_limit_store_away") == 1, "the store is away")


@pytest.mark.parametrize("program", PROGRAMS)
def test_two_nodes_admit_together_one_limit(folder: Path, one: Upstream, program: str) -> None:
    ports = [free_port(), free_port()]
    with RedisServer(folder, program) as store:
        texts = [text(port, one, store.port) for port in ports]
        with nodes(folder, texts) as both:
            passed = 0

            def is_used_up() -> bool:
                nonlocal passed
                answers = [
                    ask(port, **{"x-client": "a"}).status for port in ports for _ in range(3)
                ]
                passed += answers.count(200)
                return passed >= BURST and 200 not in answers

            until(is_used_up, "the limit of both is used up")
            assert BURST <= passed <= BURST + NODES * SHARE
            assert statuses(ports[0], 1, **{"x-client": "b"}) == {200: 1}, "another key"

            def charged() -> float:
                return sum(node.metric("headgate_limit_store_charged_total") for node in both)

            until(lambda: charged() > 0, "a charge is counted")
            assert all(counted(node, "rate_limit", "away") == 0 for node in both)


def test_under_load_two_nodes_stay_below_the_bound(folder: Path, one: Upstream) -> None:
    ports, per_s, burst = [free_port(), free_port()], 50, 20
    with RedisServer(folder) as store:
        texts = [text(port, one, store.port, rate=f"{per_s}/s", burst=burst) for port in ports]
        with nodes(folder, texts) as both:
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                asked = [
                    pool.submit(statuses, ports[index % 2], 100, **{"x-client": "a"})
                    for index in range(12)
                ]
                passed = sum(one.result()[200] for one in asked)
            took_s = time.monotonic() - began
            assert all(counted(node, "rate_limit", "away") == 0 for node in both)
            most = per_s * took_s + burst + NODES * (burst // NODES)
            assert burst <= passed <= most, f"{passed} in {took_s:.2f} s, {most:.0f} allowed"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("share", {200: SHARE, 429: 16}), ("open", {200: 20}), ("closed", {503: 20})],
)
def test_a_killed_store_leaves_the_decision_to_the_policy(
    folder: Path, port: int, one: Upstream, policy: str, expected: dict[int, int]
) -> None:
    with (
        RedisServer(folder) as store,
        nodes(folder, [text(port, one, store.port, policy=policy)]) as (node,),
    ):
        store.kill()
        until_away(node)
        client = {"x-client": "a"}
        assert statuses(port, 16 + SHARE, **client) == expected
        away = 16 + SHARE
        until(lambda: counted(node, "rate_limit", "away") == away, "each is counted")
        assert node.admin_status("/ready") == 200, "all nodes would leave at once"
        health = json.loads(node.admin("GET", "/health")[1])
        assert health["status"] == "degraded" and not health["limit_store"]["ready"]
        until_status_says(node, "limit store away since 20")
        node.until_told("limit_store.away")
        store.start()
        until_counting(node)
        node.until_told("limit_store.ready")
        assert statuses(port, 1, **{"x-client": "b"}) == {200: 1}


def test_a_store_that_hangs_holds_nobody_up_and_is_away_after_its_timeout(
    folder: Path, port: int, one: Upstream
) -> None:
    with (
        RedisServer(folder) as store,
        nodes(folder, [text(port, one, store.port, timeout="1s")]) as (node,),
    ):
        store.hang()
        # Before it is known to hang, a credit passes; then the share does.
        early = statuses(port, 12, **{"x-client": "a"})
        until_away(node)
        late = statuses(port, 12, **{"x-client": "a"})
        assert early[200] + late[200] <= BURST
        assert statuses(port, 12, **{"x-client": "b"}) == {200: SHARE, 429: 12 - SHARE}
        node.until_told("no answer in time")
        store.go_on()
        until_counting(node)


def test_a_full_store_is_away_until_it_has_room(folder: Path, port: int, one: Upstream) -> None:
    with (
        RedisServer(folder) as store,
        nodes(folder, [text(port, one, store.port, policy="closed")]) as (node,),
    ):
        assert statuses(port, 1, **{"x-client": "a"}) == {200: 1}
        assert store.talk("CONFIG", "SET", "maxmemory", "1") == "+OK"
        until_away(node)
        node.until_told("OOM")
        assert statuses(port, 2, **{"x-client": "a"}) == {503: 2}
        assert store.talk("CONFIG", "SET", "maxmemory", "0") == "+OK"
        until_counting(node)


def test_a_key_of_a_wrong_type_is_an_absence_and_no_crash(
    folder: Path, port: int, one: Upstream
) -> None:
    with (
        RedisServer(folder) as store,
        nodes(folder, [text(port, one, store.port).replace('/1"', '"')]) as (node,),
    ):
        assert statuses(port, 1, **{"x-client": "a"}) == {200: 1}
        trial = "headgate:" + ":".join(["0" * 16] * 2)

        def found() -> list[str]:
            return [key for key in redis_talk.keys(store.port, "headgate:*") if key != trial]

        until(lambda: len(found()) == 1, "the key of the client")
        (key,) = found()
        store.talk("DEL", key)
        store.talk("LPUSH", key, "x")
        assert statuses(port, 1, **{"x-client": "a"}) == {200: 1}
        node.until_told("WRONGTYPE")
        until_counting(node)
        store.talk("DEL", key)
        assert statuses(port, 1, **{"x-client": "b"}) == {200: 1}


def test_a_store_with_a_password_that_is_wrong_or_right(
    folder: Path, port: int, one: Upstream
) -> None:
    secret = folder / "secret"
    secret.write_text("s3cret-of-the-store\n")
    secret.chmod(0o600)
    more = f'password = {{ file = "{secret}" }}'
    with (
        RedisServer(folder, "redis-server", "--requirepass", "s3cret-of-the-store") as store,
        nodes(folder, [text(port, one, store.port, more=more)]) as (node,),
    ):
        assert "s3cret" not in node.admin("GET", "/config")[1].decode()
        node.write(text(port, one, store.port, more='password = "another"'))
        assert node.command("reload").returncode == 0
        until_away(node)
        node.until_told("WRONGPASS")


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$2000000000\r\n" + b"x" * 65_536, b"*9\r\n"]
)
def test_a_server_that_is_no_store_is_away(
    folder: Path, port: int, one: Upstream, answer: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def lie() -> None:
            while True:
                try:
                    stream, _ = server.accept()
                except OSError:
                    return
                with stream:
                    try:
                        stream.recv(65_536)
                        stream.sendall(answer)
                    except OSError:
                        continue

        threading.Thread(target=lie, daemon=True).start()
        limited = text(port, one, server.getsockname()[1], policy="closed")
        with RunningNode(folder, limited).until_ready() as node:
            until_away(node)
            node.until_told("limit_store.away")
            assert statuses(port, 2, **{"x-client": "a"}) == {503: 2}
        server.shutdown(socket.SHUT_RDWR)
