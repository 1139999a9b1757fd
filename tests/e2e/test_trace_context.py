"""Where requests are in traces: what endpoints are told, and the ids in the access log."""

import re
from pathlib import Path
from typing import Final

import pytest
from access_log import AccessLog
from chance import likely
from echo_upstream import EchoUpstream
from ports import free_port
from running_node import RunningNode
from tracing_client import ask, fields_of
from waiting import until

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN: Final = "00f067aa0ba902b7"
PARENT: Final = f"00-{TRACE}-{SPAN}-01"
STATE: Final = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
WRITTEN: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
CONFIG: Final = """
[node]
admin = "off"
access_log = {{ format = "json", sink = {{ path = "{folder}/access.log" }} }}
{tracing}
[listeners.web]
address = "127.0.0.1:{port}"
default = true
h2c = true
{client_ip}
[routes.quiet]
match = [{{ path = {{ prefix = "/quiet" }} }}]
tracing = false
upstream = "app"

[routes.edited]
match = [{{ path = {{ prefix = "/edited" }} }}]
middlewares = [{{ request_headers = {{ set = {{ traceparent = "mine" }} }} }}]
upstream = "app"

[routes.all]
upstream = "app"

[upstreams.app]
endpoints = ["{app}"]
"""


def config(folder: Path, port: int, app: str, tracing: str = "tracing = {}", more: str = "") -> str:
    """The node's config, with its line about tracing and one of its listener."""
    return CONFIG.format(folder=folder, port=port, app=app, tracing=tracing, client_ip=more)


def told(port: int, *lines: tuple[str, str], path: str = "/", http2: bool = False) -> list[str]:
    """The values of `traceparent` that the endpoint gets."""
    return fields_of(ask(port, path, lines, http2=http2), "traceparent")


def parts(values: list[str]) -> tuple[str, str, str]:
    """Trace, span and flags of the one value."""
    (value,) = values
    found = WRITTEN.fullmatch(value)
    assert found, value
    return found[1], found[2], found[3]


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_a_trace_goes_on_with_a_span_of_ours(folder: Path, *, http2: bool) -> None:
    port = free_port()
    with (
        EchoUpstream() as app,
        RunningNode(folder, config(folder, port, app.address)).until_ready(),
    ):
        lines = (("traceparent", PARENT), ("tracestate", STATE))
        answer = ask(port, "/", lines, http2=http2)
        trace, span, flags = parts(fields_of(answer, "traceparent"))
        assert (trace, flags) == (TRACE, "01")
        assert span != SPAN
        assert fields_of(answer, "tracestate") == [STATE]

        fresh, _, flags = parts(told(port, http2=http2))
        assert fresh != TRACE
        assert flags == "03", "it is recorded, and its id is random"
        *_, flags = parts(told(port, ("traceparent", PARENT[:-2] + "00"), http2=http2))
        assert flags == "00", "the client's decision counts"


def test_a_context_that_is_none_begins_a_trace(folder: Path) -> None:
    port = free_port()
    with (
        EchoUpstream() as app,
        RunningNode(folder, config(folder, port, app.address)).until_ready(),
    ):
        for bad in (PARENT.upper(), PARENT + "-", PARENT[:-1], "00-" + "0" * 32 + PARENT[35:]):
            answer = ask(port, "/", (("traceparent", bad), ("tracestate", STATE)))
            assert parts(fields_of(answer, "traceparent"))[0] != TRACE, bad
            assert fields_of(answer, "tracestate") == [], "no state without its trace"
        assert parts(told(port, ("traceparent", PARENT), ("traceparent", PARENT)))[0] != TRACE

        answer = ask(port, "/", (("traceparent", PARENT), ("tracestate", "A=1")))
        assert parts(fields_of(answer, "traceparent"))[0] == TRACE
        assert fields_of(answer, "tracestate") == [], "a broken state is left out alone"


def test_the_log_has_the_ids_that_the_endpoint_gets(folder: Path) -> None:
    port = free_port()
    with (
        EchoUpstream() as app,
        RunningNode(folder, config(folder, port, app.address)).until_ready(),
    ):
        trace, span, _ = parts(told(port))
        ask(port, "/quiet")
        # Each worker writes by itself: the lines come in any order.
        by_route = {line["route"]: line for line in AccessLog(folder / "access.log").lines(2)}
        first = by_route["all"]
        assert (first["trace_id"], first["span_id"]) == (trace, span)
        assert "trace_id" not in by_route["quiet"]


def test_routes_and_nodes_without_traces_touch_nothing(folder: Path) -> None:
    port = free_port()
    bad = (("traceparent", "what"), ("traceparent", "ever"), ("tracestate", "A=1"))
    with EchoUpstream() as app:
        node = RunningNode(folder, config(folder, port, app.address, tracing="")).until_ready()
        with node:
            assert told(port, *bad) == ["what", "ever"]
            assert told(port) == []

            node.write(config(folder, port, app.address))
            until(lambda: len(told(port)) == 1, "tracing after a reload")
            answer = ask(port, "/quiet", bad)
            assert fields_of(answer, "traceparent") == ["what", "ever"]
            assert fields_of(answer, "tracestate") == ["A=1"]
            assert told(port, path="/edited") == ["mine"], "what a middleware sets counts"

            node.write(config(folder, port, app.address, tracing=""))
            until(lambda: told(port) == [], "no tracing after a reload")


def test_a_share_of_the_traces_that_begin_here_is_recorded(folder: Path) -> None:
    port = free_port()
    tracing = "tracing = { sample = 50 }"
    with (
        EchoUpstream() as app,
        RunningNode(folder, config(folder, port, app.address, tracing)).until_ready(),
    ):
        flags = [parts(told(port))[2] for _ in range(100)]
        assert flags.count("03") in likely(100, 1 / 2)
        assert set(flags) == {"02", "03"}
        assert parts(told(port, ("traceparent", PARENT)))[2] == "01"


def test_strangers_begin_traces_of_their_own(folder: Path) -> None:
    port = free_port()
    tracing = 'tracing = { parents = "trusted" }'
    with EchoUpstream() as app:
        text = config(folder, port, app.address, tracing)
        with RunningNode(folder, text).until_ready() as node:
            assert parts(told(port, ("traceparent", PARENT)))[0] != TRACE
            trusted = 'client_ip = { trusted = ["127.0.0.1"] }'
            node.write(config(folder, port, app.address, tracing, trusted))
            until(
                lambda: parts(told(port, ("traceparent", PARENT)))[0] == TRACE,
                "a trusted peer after a reload",
            )
