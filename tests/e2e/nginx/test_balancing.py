"""How nginx spreads requests over endpoints, connects to them, and over its own workers."""

import http.client
import itertools
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from chance import likely
from http_server import serving_http
from nginx_engine import NginxEngine
from running_node import Load, RunningNode, Upstream, config, get
from waiting import DEADLINE_S, until

KEYS = [f"user-{number}" for number in range(120)]


@pytest.fixture
def three() -> Iterator[Upstream]:
    upstream = Upstream("three")
    yield upstream
    upstream.close()


def engine(folder: Path, port: int, balance: str, *upstreams: Upstream) -> NginxEngine:
    """An nginx on these endpoints in a folder of its own."""
    root = folder / str(len(upstreams))
    root.mkdir()
    root.chmod(0o755)
    listed = '", "'.join(one.address for one in upstreams)
    (root / "c.toml").write_text(f"{config(port, listed)}balance = {balance}\n")
    return NginxEngine(root / "c.toml", root)


def by_key(port: int) -> dict[str, bytes]:
    """Which endpoint answers each key."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    found = {}
    for key in KEYS:
        connection.request("GET", "/", headers={"x-user": key})
        found[key] = connection.getresponse().read()
    connection.close()
    return found


def test_least_conn_leaves_out_who_is_busy(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    with engine(folder, port, '"least_conn"', one, two):
        slow = threading.Thread(target=get, args=(port, "/slow"), daemon=True)
        slow.start()
        until(lambda: one.waiting.is_set() or two.waiting.is_set(), "a request in flight")
        busy, free = (one, two) if one.waiting.is_set() else (two, one)
        assert {get(port)[1] for _ in range(20)} == {free.name.encode()}
        busy.release.set()
        slow.join(DEADLINE_S)
        assert {get(port)[1] for _ in range(20)} == {b"one", b"two"}


def test_random_reaches_every_endpoint_in_no_order(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    with engine(folder, port, '"random"', one, two):
        answers = [get(port)[1] for _ in range(120)]
    counts = Counter(answers)
    assert set(counts) == {b"one", b"two"}
    assert counts[b"one"] in likely(120, 1 / 2)
    assert any(before == after for before, after in itertools.pairwise(answers))


@pytest.mark.parametrize("kind", ["ring_hash", "maglev"])
def test_a_key_has_its_endpoint_and_only_those_of_one_that_is_gone_move(
    folder: Path, port: int, kind: str, one: Upstream, two: Upstream, three: Upstream
) -> None:
    balance = f'{{ {kind} = {{ key = "header:x-user" }} }}'
    with engine(folder, port, balance, one, two, three):
        before = by_key(port)
        assert by_key(port) == before
        assert set(before.values()) == {b"one", b"two", b"three"}
    with engine(folder, port, balance, one, two):
        after = by_key(port)
    for key in KEYS:
        assert before[key] in (after[key], b"three")


def test_requests_share_connections_to_endpoints(folder: Path, port: int) -> None:
    peers: set[tuple[str, int]] = set()

    class Counting(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            peers.add(self.client_address)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    root = folder / "root"
    root.mkdir()
    with serving_http(Counting) as upstream:
        (folder / "c.toml").write_text(config(port, f"127.0.0.1:{upstream}"))
        with NginxEngine(folder / "c.toml", root):
            assert [get(port)[0] for _ in range(30)] == [200] * 30
    assert len(peers) == 1


@pytest.mark.usefixtures("probed")
def test_the_number_of_workers_can_be_changed(folder: Path, port: int, one: Upstream) -> None:
    text = config(port, one.address, extra="workers = 1")

    def workers() -> int:
        pid = int((node.state / "nginx/run/nginx.pid").read_text())
        return len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    with RunningNode(folder, text, "--engine", "nginx", "--no-watch").until_ready() as node:
        assert workers() == 1
        with Load(port) as load:
            node.write(text.replace("workers = 1", "workers = 3"))
            assert node.admin("POST", "/reload")[0] == 200
            until(lambda: workers() == 3, "three workers")
        refused = [one for one in load.failures if one[:3].isdigit() or "Refused" in one]
        assert refused == []
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), DEADLINE_S)
