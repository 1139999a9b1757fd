"""A broken TCP or UDP route of a revision on a real agent: it alone is closed, on both engines."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_master import AgentMaster, RunningAgent
from datagram_servers import Echo as DatagramEcho
from stream_nginx import answered, hello
from tcp_echo import Echo
from told import until_metrics_say, until_status_says
from waiting import DEADLINE_S, until

from headgate.fleet.frames import Phase
from headgate.fleet.manifest import Json

Specs = dict[tuple[str, str], Json]
BROKEN = {"no-such-key": 1}
SHOP = ("tcp_routes", "shop")
NEAR = ("udp_routes", "near")


@pytest.fixture
def app() -> Iterator[Echo]:
    """The endpoint of most routes."""
    one = Echo(b"a")
    yield one
    one.close()


@pytest.fixture
def shop() -> Iterator[Echo]:
    """The endpoint of the route that breaks."""
    one = Echo(b"s")
    yield one
    one.close()


@pytest.fixture
def datagrams() -> Iterator[DatagramEcho]:
    """The endpoint of UDP routes."""
    one = DatagramEcho(b"a")
    yield one
    one.close()


def config(port: int, app: Echo, shop: Echo, datagrams: DatagramEcho) -> Specs:
    """A name of its own beside a wildcard and the rest, and a client beside all others."""
    idle = {"timeouts": {"idle": "30s"}}
    return {
        ("listeners", "raw"): {"address": f"127.0.0.1:{port}", "protocol": "tcp"},
        ("listeners", "dns"): {"address": f"127.0.0.1:{port}", "protocol": "udp"},
        ("upstreams", "app"): {"endpoints": [f"127.0.0.1:{app.port}"]},
        ("upstreams", "shop"): {"endpoints": [f"127.0.0.1:{shop.port}"]},
        ("upstreams", "dns"): {"endpoints": [f"127.0.0.1:{datagrams.port}"]},
        ("tcp_routes", "rest"): {"listeners": "raw", "upstream": "app", **idle},
        ("tcp_routes", "sub"): {"listeners": "raw", "sni": "*.example", "upstream": "app", **idle},
        SHOP: {"listeners": "raw", "sni": "shop.example", "upstream": "shop", **idle},
        ("udp_routes", "far"): {"listeners": "dns", "upstream": "dns"},
        NEAR: {"listeners": "dns", "upstream": "dns", "client": "127.0.0.2/32"},
    }


def goes(port: int, name: str, *, source: str = "127.0.0.1") -> bytes:
    """The letter of the server that gets a ClientHello; empty where none does."""
    return answered(port, hello(name), source)


def asked(port: int, source: str) -> socket.socket:
    """A client that has sent a datagram."""
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.settimeout(DEADLINE_S)
    one.bind((source, 0))
    one.connect(("127.0.0.1", port))
    one.send(b"?")
    return one


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_a_broken_route_that_never_served_is_closed_alone(
    folder: Path, port: int, app: Echo, shop: Echo, datagrams: DatagramEcho, engine: str
) -> None:
    good = config(port, app, shop, datagrams)
    wrong = {**good, SHOP: {**good[SHOP], **BROKEN}, NEAR: {**good[NEAR], **BROKEN}}
    with (
        AgentMaster() as master,
        RunningAgent(folder, master, master.token(), "--engine", engine) as node,
    ):
        agent = master.until(master.publish(wrong), Phase.SERVING)
        assert agent.report is not None
        assert agent.report.fault is not None
        assert agent.report.fault.code == "quarantined"
        assert goes(port, "other.example") == goes(port, "other.test") == b"a"
        assert goes(port, "shop.example") == b""
        with asked(port, "127.0.0.2") as shut, asked(port, "127.0.0.1") as open_:
            assert open_.recv(9) == b"a?"
            counted = "dropped" if engine == "native" else "closed"
            until_metrics_say(node, f'headgate_udp_{counted}_total{{reason="no-endpoint"}} 1')
            shut.setblocking(False)
            with pytest.raises(BlockingIOError):
                shut.recv(9)
        until_metrics_say(node, 'headgate_tcp_closed_total{reason="no-endpoint"} 1')
        for kind in ("tcp_route", "udp_route"):
            until_metrics_say(node, f'headgate_config_quarantined{{kind="{kind}",form="closed"}} 1')
        until_status_says(node, "quarantined tcp_route shop: its connections are closed at once")
        until_status_says(node, "quarantined udp_route near: its datagrams are dropped")
        explained = node.command("explain", f"tcp://127.0.0.1:{port}", "--sni", "shop.example")
        assert "quarantined, closed:" in explained.stdout, explained.stderr
        assert "the connection is reset (no-endpoint)" in explained.stdout
        master.until(master.publish(good), Phase.SERVING)
        until(lambda: goes(port, "shop.example") == b"s", "it is served once it is mended")


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_a_broken_route_that_has_moved_is_closed_in_both_places(
    folder: Path, port: int, app: Echo, shop: Echo, datagrams: DatagramEcho, engine: str
) -> None:
    good = config(port, app, shop, datagrams)
    with AgentMaster() as master, RunningAgent(folder, master, master.token(), "--engine", engine):
        master.until(master.publish(good), Phase.SERVING)
        until(lambda: goes(port, "shop.example") == b"s", "it serves")
        kept = {**good, SHOP: {**good[SHOP], **BROKEN}}
        master.until(master.publish(kept), Phase.SERVING)
        assert goes(port, "shop.example") == b"s", "its last good form serves on"
        moved = {**good, SHOP: {**good[SHOP], "sni": "new.example", **BROKEN}}
        master.until(master.publish(moved), Phase.SERVING)
        until(lambda: goes(port, "shop.example") == b"", "it is closed where it was")
        assert goes(port, "new.example") == b"", "and where it is written"
        assert goes(port, "other.example") == b"a"


def test_a_udp_route_by_name_that_nginx_cannot_match_refuses_the_revision(
    folder: Path, port: int, app: Echo, shop: Echo, datagrams: DatagramEcho
) -> None:
    good = config(port, app, shop, datagrams)
    with (
        AgentMaster() as master,
        RunningAgent(folder, master, master.token(), "--engine", "nginx"),
    ):
        master.until(master.publish(good), Phase.SERVING)
        named = {**good, ("udp_routes", "named"): {**good[NEAR], "sni": "a.example"}}
        agent = master.until(master.publish(named), Phase.REJECTED)
        assert agent.report is not None
        assert agent.report.fault is not None
        assert agent.report.fault.object == "udp_routes/named"
        with asked(port, "127.0.0.1") as client:
            assert client.recv(9) == b"a?"
