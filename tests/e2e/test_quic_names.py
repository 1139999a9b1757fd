"""QUIC passed through by the name in its first datagrams: a real client and servers, datagrams as
they were, what has no name, and time.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath
from random import Random

import pytest
from access_log import AccessLog
from datagram_servers import Echo
from quic_peers import LONG, asked, first_datagrams, server
from running_node import RunningNode
from tls_authority import Authority
from told import until_metric
from waiting import DEADLINE_S, until

from headgate.compile.answers import answer
from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.providers.file.disk import DiskFiles

HEAD = """
[node]
admin = "off"
{node}
[listeners.quic]
address = "127.0.0.1:{port}"
protocol = "udp"
"""
NAMES = ("a.example", "*.example", "*.a.example", "*", "b.test", "")
ASKED = ("a.example", "b.example", "c.a.example", "b.test", "other", None)


def config(port: int, routes: dict[str, tuple[str, int]], node: str = "") -> str:
    """Routes by their names, each with the server name that it takes and a port."""
    text = HEAD.format(port=port, node=node)
    for route, (sni, to) in routes.items():
        text += f'[udp_routes.{route}]\nlisteners = "quic"\nupstream = "{route}"\n'
        text += f'sni = "{sni}"\n' if sni else ""
        text += f'[upstreams.{route}]\nendpoints = ["127.0.0.1:{to}"]\n'
    return text


@contextmanager
def client(port: int) -> Iterator[socket.socket]:
    """A client of one port, whose datagrams go to the node."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(DEADLINE_S)
        one.connect(("127.0.0.1", port))
        yield one


@contextmanager
def echoes(*names: str) -> Iterator[list[int]]:
    """The ports of servers that send back what they get after their name."""
    with ExitStack() as stack:
        made = [Echo(name.encode()) for name in names]
        for one in made:
            stack.callback(one.close)
        yield [one.port for one in made]


def until_dropped(node: RunningNode, count: int) -> None:
    """Waits until so many datagrams had no route."""
    name = 'headgate_udp_dropped_total{reason="no-route"}'
    until(lambda: node.metric(name) == count, "it is dropped")


def until_heard(node: RunningNode, outcome: str, count: int) -> None:
    """Waits until so many hellos came to this."""
    until_metric(node, f'headgate_udp_hellos_total{{outcome="{outcome}"}}', count)


def test_connections_go_to_the_server_of_their_name(folder: Path, port: int) -> None:
    authority = Authority(folder)
    with ExitStack() as stack:
        names = {"one": "a.example", "two": "b.example"}
        ports = {
            route: stack.enter_context(server(name, authority.issue(route, name)))
            for route, name in names.items()
        }
        routes = {route: (name, ports[route]) for route, name in names.items()}
        log = folder / "asked.log"
        sink = f'[node.access_log]\nsink = {{ path = "{log}" }}'
        node = stack.enter_context(RunningNode(folder, config(port, routes, sink)).until_ready())
        for name in [*names.values()] * 2:
            assert asked(port, name, authority.ca_file) == f"{name} hello".encode()
        # A hello of several datagrams.
        assert asked(port, "b.example", authority.ca_file, LONG) == b"b.example hello"
        until_heard(node, "named", 5)
        node.command("drain")
        lines = AccessLog(log).lines(5)
        assert sorted((str(one["route"]), one["sni"]) for one in lines) == [
            *[("one", "a.example")] * 2,
            *[("two", "b.example")] * 3,
        ]


def test_what_was_kept_arrives_as_it_came(folder: Path, port: int) -> None:
    with echoes("a", "b") as (one, two):
        text = config(port, {"one": ("*.a.example", one), "two": ("b.test", two)})
        with RunningNode(folder, text).until_ready() as node:
            for is_v2 in (False, True):
                for turned in (False, True):
                    sent = first_datagrams("x.a.example", LONG, is_v2=is_v2)
                    assert len(sent) > 1
                    sent = sent[::-1] if turned else sent
                    with client(port) as peer:
                        for data in sent:
                            peer.send(data)
                        assert [peer.recv(65_536) for _ in sent] == [b"a" + d for d in sent]
                        # From now on anything passes.
                        peer.send(b"?")
                        assert peer.recv(9) == b"a?"
            with client(port) as peer:
                [data] = first_datagrams("b.test")
                peer.send(data)
                assert peer.recv(65_536) == b"b" + data
            until_heard(node, "named", 5)


def test_what_has_no_name_goes_to_the_route_without_one(folder: Path, port: int) -> None:
    with echoes("a", "r") as (one, rest):
        routes = {"one": ("a.example", one), "rest": ("", rest)}
        text = config(port, routes)
        with RunningNode(folder, text).until_ready() as node:
            [named] = first_datagrams("other.example")
            [nameless] = first_datagrams(None)
            version = named[:1] + b"\x0a\x0a\x0a\x0a" + named[5:]
            damaged = named[:100] + bytes([named[100] ^ 1]) + named[101:]
            told = {
                "named": named,
                "no-name": nameless,
                "not-quic": b"hello",
                "unknown-version": version,
                "malformed": damaged,
            }
            for outcome, data in told.items():
                with client(port) as peer:
                    peer.send(data)
                    assert peer.recv(65_536) == b"r" + data, outcome
                    until_heard(node, outcome, 1)
            # Half a hello is passed on when the rest has not come in time.
            with client(port) as peer:
                half = first_datagrams("a.example", LONG)[0]
                peer.send(half)
                assert peer.recv(65_536) == b"r" + half
                until_heard(node, "timeout", 1)
            # Without that route they are dropped.
            del routes["rest"]
            node.write(config(port, routes))
            node.command("reload")
            with client(port) as peer:
                for number, data in enumerate(told.values(), 1):
                    peer.send(data)
                    until_dropped(node, number)
            until_heard(node, "not-quic", 2)


def test_a_named_flow_outlives_reloads_and_upgrades(folder: Path, port: int) -> None:
    with echoes("a", "b") as (one, two):
        routes = {"one": ("a.example", one), "two": ("b.test", two)}
        with RunningNode(folder, config(port, routes)).until_ready() as node, client(port) as peer:
            [data] = first_datagrams("b.test")
            peer.send(data)
            assert peer.recv(65_536) == b"b" + data
            for step in ("reload", "upgrade", "reload"):
                more = {f"three{step}": ("c.test", one)} | routes
                node.write(config(port, more))
                done = node.command(step)
                assert done.returncode == 0, done.stderr
                peer.send(b"?")
                assert peer.recv(9) == b"b?", step
            until_metric(node, "headgate_udp_flows_opened_total", 1)
            until_metric(node, "headgate_udp_flows_taken_over_total", 1)
            until_metric(node, "headgate_udp_flows", 1)


@pytest.mark.parametrize("seed", range(2))
def test_the_data_plane_does_what_explain_says(folder: Path, port: int, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - to be had again
    letters = "abcd"
    with echoes(*letters) as ports:
        names = random.sample(NAMES, len(letters))
        routes = {
            letter: (name, to) for letter, name, to in zip(letters, names, ports, strict=True)
        }
        with RunningNode(folder, config(port, routes)).until_ready() as node, ExitStack() as stack:
            loaded = load([PurePath(node.config)], DiskFiles(), {})
            assert loaded.plan is not None, loaded.diagnostics
            routing = Routing(loaded.plan)
            lost = 0
            for _ in range(20):
                name = random.choice(ASKED)
                asked_of = Question(url=f"udp://127.0.0.1:{port}", sni=name)
                found = answer(routing, asked_of, lambda *_: "")
                peer = stack.enter_context(client(port))
                [data] = first_datagrams(name)
                peer.send(data)
                if found.won:
                    assert peer.recv(65_536)[:1].decode() == found.won.route, name
                    continue
                lost += 1
                until_dropped(node, lost)
