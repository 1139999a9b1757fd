"""What explain says of a request and what our own data plane does with it: the same."""

import socket
from pathlib import Path, PurePath
from random import Random

import pytest
import random_chains
import random_names
import random_routes
from agreement import disagreements
from echo_upstream import EchoUpstream
from ports import free_port
from running_node import RunningNode
from waiting import DEADLINE_S
from wire import Wire

from headgate.compile.explanation import Explanation, explain
from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.providers.file.disk import DiskFiles

CONFIGS = 3
ROUTES = 14
REQUESTS = 300
NODE = '[node]\nadmin = "off"\ndrain = { delay = "1ms", idle_grace = "1ms", deadline = "1s" }\n'


def routing_of(path: Path) -> Routing:
    """The config as explain sees it."""
    loaded = load([PurePath(path)], DiskFiles(), {})
    assert loaded.plan is not None, loaded.diagnostics
    return Routing(loaded.plan, blobs=loaded.blobs)


@pytest.mark.parametrize("seed", range(CONFIGS))
def test_the_data_plane_does_what_explain_says(folder: Path, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - to be had again
    port = free_port()
    with EchoUpstream() as echo:
        address = f"127.0.0.1:{port}"
        text = NODE + random_routes.config(random, address, ROUTES, echo.address)
        with RunningNode(folder, text) as node, Wire(port) as wire:
            node.until_ready()
            wrong = disagreements(node.config, routing_of(node.config), wire, random, REQUESTS)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("seed", range(CONFIGS))
def test_endpoints_get_what_explain_says_of_middlewares(folder: Path, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - to be had again
    port = free_port()
    with EchoUpstream() as echo:
        text = NODE + random_chains.config(random, f"127.0.0.1:{port}", echo.address)
        with RunningNode(folder, text) as node, Wire(port) as wire:
            node.until_ready()
            routing = routing_of(node.config)
            wrong = random_chains.disagreements(routing, wire, port, random, REQUESTS)
    assert not wrong, text + "\n".join(wrong)


def answered(port: int, request: bytes) -> int:
    """The status of the first answer to these bytes."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as connection:
        connection.sendall(request)
        return int(connection.recv(64)[9:12])


def test_what_is_no_request_is_refused_by_explain_as_on_the_wire(folder: Path) -> None:
    port = free_port()
    text = NODE + (
        f'[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n'
        'limits = { headers = 3, head = "1KiB" }\n[routes.all]\nrespond = { status = 204 }\n'
    )
    cases: list[Question] = [
        Question("http://a/"),
        Question("http://a/", method="G\r\nT"),
        Question("http://a/", method="TRACE"),
        Question("http://a/", method="x" * 40),
        Question("http://a/x y"),
        Question("http://a/#x"),
        Question("http://a/?é"),
        Question("http://a?x"),
        Question("http://a/", headers={"host": ["a", "b"]}),
        Question("http://a/", headers={"host": "a b"}),
        Question("http://a/", headers={"x-a": ["1", "2", "3"]}),
        Question("http://a/", headers={"x-a": "1" * 2000}),
        Question("http://a/", headers={"x a": "1"}),
        Question("http://a/", headers={"x-a": "1\r\nx"}),
        Question("http://a/", headers={"expect": "wonders"}),
        Question("http://a/", headers={"transfer-encoding": "gzip"}),
        Question("http://a/" + "x" * 1100),
    ]
    with RunningNode(folder, text) as node:
        node.until_ready()
        routing = routing_of(node.config)
        wrong = []
        for case in cases:
            found: Explanation = explain(routing, routing.request(case), lambda *_: "")
            status = answered(port, sent(case))
            if found.status != status:
                wrong.append(f"{case}: served {status}, explain {found.status} {found.refused}")
    assert not wrong, "\n".join(wrong)


def sent(question: Question) -> bytes:
    """The head of a question on the wire."""
    rest = question.url.removeprefix("http://a")
    target = rest if rest.startswith("/") else f"/{rest}"
    lines = [f"{question.method} {target} HTTP/1.1"]
    if "host" not in question.headers:
        lines.append("host: a")
    for name, values in question.headers.items():
        lines += [f"{name}: {v}" for v in ([values] if isinstance(values, str) else values)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize("seed", range(CONFIGS))
def test_explain_knows_which_names_get_an_alert_and_which_a_421(folder: Path, seed: int) -> None:
    random, port = Random(seed), free_port()  # noqa: S311
    text = random_names.config(random, folder, f"127.0.0.1:{port}")
    with RunningNode(folder, NODE + text) as node:
        node.until_ready()
        routing = routing_of(node.config)
        wrong = random_names.disagreements(routing, port, folder, random, REQUESTS // 2)
    assert not wrong, text + "\n".join(wrong)
