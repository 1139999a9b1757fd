"""Agents of endpoints with real processes: what an agent says is done, and it alone undoes it."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from endpoint_agent import EndpointAgent
from running_node import RunningNode, Upstream, config, get
from told import until_metric, until_metric_at_least, until_status_says
from waiting import until

World = tuple[tuple[Upstream, Upstream], tuple[EndpointAgent, EndpointAgent]]


@pytest.fixture
def world() -> Iterator[World]:
    """Two endpoints on addresses of their own, whose agents have the same port."""
    one, two = Upstream("one"), Upstream("two", host="127.0.0.2")
    first = EndpointAgent("127.0.0.1", hears=b"how\n")
    second = EndpointAgent("127.0.0.2", first.port, hears=b"how\n")
    yield (one, two), (first, second)
    for each in (one, two, first, second):
        each.close()


def _config(port: int, world: World) -> str:
    (one, two), (agent, _) = world
    asked = f'{{ port = {agent.port}, send = "how\\n", interval = "300ms", timeout = "300ms" }}'
    return config(port, f'{one.address}", "{two.address}') + f"agent_check = {asked}\n"


def _told(node: RunningNode) -> list[dict[str, object]]:
    health = json.loads(node.admin("GET", "/health")[1])
    return [one for up in health["upstreams"] for one in up["endpoints"]]


def _states(node: RunningNode) -> list[object]:
    return [one["state"] for one in _told(node)]


def _is(node: RunningNode, states: list[object]) -> Callable[[], bool]:
    return lambda: _states(node) == states


def _says(ask: Callable[[], str], texts: tuple[str, ...]) -> bool:
    """Whether all of these stand in a text, however its lines are broken."""
    words = " ".join(ask().split())
    return all(text in words for text in texts)


def _served(port: int, requests: int = 8) -> Counter[bytes]:
    return Counter(get(port)[1] for _ in range(requests))


def test_an_endpoint_goes_and_comes_as_its_agent_says_and_everything_tells_why(
    folder: Path, port: int, world: World
) -> None:
    (_, two), (_, agent) = world
    with RunningNode(folder, _config(port, world)).until_ready() as node:
        until(lambda: set(_served(port)) == {b"one", b"two"}, "both endpoints")
        for line, state, why in (
            ("down#disk is full\n", "down", "its agent reports that it is down"),
            ("up drain\n", "drain", "its agent drains it"),
            ("maint\n", "maintenance", "its agent set maintenance"),
        ):
            agent.says = line
            until(_is(node, ["up", state]), f"the state {state}")
            assert _served(port) == {b"one": 8}
            said = (f"takes no traffic: {why}", f"its agent said: {line.strip()}")
            for ask in (
                lambda: str(_told(node)[1]["why"]),
                lambda: node.command("status").stdout,
                lambda: node.command("explain", "GET", "http://a.example/").stdout,
            ):
                # An agent that was late once does not answer, as they say, until it does again.
                until(partial(_says, ask, said), f"{said}")
        backend = f'{{backend="app/{two.address}"}}'
        until_metric_at_least(node, f"headgate_backend_agent_answers_total{backend}", 1)
        until_metric(node, f"headgate_backend_takes_traffic{backend}", 0)
        until_metric(node, f"headgate_backend_agent_weight_percent{backend}", 100)

        agent.close()
        until(lambda: "does not answer" in str(_told(node)[1]["why"]), "the silence")
        assert _states(node) == ["up", "maintenance"]
        until_metric_at_least(node, f"headgate_backend_agent_failures_total{backend}", 1)
        again = EndpointAgent("127.0.0.2", agent.port, hears=b"how\n")
        until(lambda: _states(node) == ["up", "up"], "the return")
        again.close()
        told = f"endpoint.agent: the agent of endpoint {two.address} of upstream app"
        node.until_told(f"{told} said: down#disk is full")
        node.until_told(f"{told} does not answer: ")


def test_an_endpoint_takes_the_part_of_its_weight_that_its_agent_asks_for(
    folder: Path, port: int, world: World
) -> None:
    (_, two), (_, agent) = world
    with RunningNode(folder, _config(port, world)).until_ready() as node:
        agent.says = "50%\n"
        percent = f'headgate_backend_agent_weight_percent{{backend="app/{two.address}"}}'
        until(lambda: node.metric(percent) == 50, "the weight")

        def takes_a_third() -> bool:
            return 8 <= _served(port, 48)[b"two"] <= 23

        until(takes_a_third, "a third of the requests")
        until_status_says(node, "its agent asks for 50 % of its weight")
        agent.says = "100%\n"
        until(lambda: _served(port, 48)[b"two"] == 24, "half of the requests")
