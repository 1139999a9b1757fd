"""Spans of requests, their tries and their waits, as OpenTelemetry's own messages read them, and
what becomes of them while the collector is away."""

import socket
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final

import pytest
from echo_upstream import EchoUpstream
from http_server import serving_http
from otlp_receiver import CLIENT, INTERNAL, SERVER, OtlpReceiver
from ports import free_port
from running_node import HEADGATE, RunningNode, get
from told import until_metric_at_least, until_status_says
from tracing_client import ask, fields_of
from waiting import DEADLINE_S, until

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN: Final = "00f067aa0ba902b7"
PARENT: Final = f"00-{TRACE}-{SPAN}-01"
CONFIG: Final = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[node.tracing]
endpoint = "{endpoint}"
{tracing}

[listeners.web]
address = "127.0.0.1:{port}"
default = true
h2c = true

[routes.slow]
match = [{{ path = {{ prefix = "/slow" }} }}]
middlewares = [{{ fault = {{ delay = "20ms", delay_percent = 100 }} }}]
upstream = "app"

[routes.asked]
match = [{{ path = {{ prefix = "/asked" }} }}]
middlewares = ["asks"]
upstream = "app"

[middlewares.asks.forward_auth]
upstream = "app"
path = "/verify"
copy = ["x-up"]
timeout = "1m"

[routes.again]
match = [{{ path = {{ prefix = "/again" }} }}]
upstream = "failing"

[routes.again.retry]
retries = 2
on = [503]
backoff = {{ base = "1ms", jitter = "none" }}
budget = {{ percent = 100, per_second = 100 }}

[routes.gone]
match = [{{ path = {{ prefix = "/gone" }} }}]
upstream = "gone"

[routes.quiet]
match = [{{ path = {{ prefix = "/quiet" }} }}]
tracing = false
upstream = "app"

[routes.all]
match = [{{ path = {{ prefix = "/app" }} }}]
upstream = "app"

[upstreams.app]
endpoints = ["{app}"]

[upstreams.failing]
endpoints = ["127.0.0.1:{failing}"]

[upstreams.gone]
endpoints = ["127.0.0.1:{dead}"]
"""


def config(
    port: int, app: str, endpoint: str, *, dead: int = 9, failing: int = 9, tracing: str = ""
) -> str:
    """The node's config, with more lines about tracing."""
    return CONFIG.format(
        port=port, app=app, endpoint=endpoint, dead=dead, failing=failing, tracing=tracing
    )


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_a_request_and_its_try(folder: Path, *, http2: bool) -> None:
    port = free_port()
    with EchoUpstream() as app, OtlpReceiver() as collector:
        (folder / "key").write_text("Bearer s3cret\n")
        more = f'service_name = "edge"\nheaders = {{ authorization = {{ file = "{folder}/key" }} }}'
        text = config(port, app.address, collector.endpoint, tracing=more)
        with RunningNode(folder, text).until_ready() as node:
            lines = [("traceparent", PARENT), ("user-agent", "me")]
            answer = ask(port, "/app/x?token=1", lines, http2=http2)
            server, client = collector.whole(TRACE, 2)
            assert (server.kind, server.name, server.parent) == (SERVER, "GET all", SPAN)
            assert (client.kind, client.name, client.parent) == (CLIENT, "GET", server.span)
            assert (server.service, server.is_error, client.is_error) == ("edge", False, False)
            (told,) = fields_of(answer, "traceparent")
            assert told == f"00-{TRACE}-{client.span}-01", "the try is the parent over there"
            about = server.attributes
            assert len(str(about.pop("headgate.request_id"))) == 32
            assert about.pop("server.address") == ("127.0.0.1" if http2 else "a.example")
            assert about.pop("server.port", None) == (port if http2 else None)
            assert about == {
                "http.request.method": "GET",
                "url.path": "/app/x",
                "url.scheme": "http",
                "http.route": "all",
                "client.address": "127.0.0.1",
                "network.protocol.version": "2" if http2 else "1.1",
                "user_agent.original": "me",
                "headgate.upstream": "app",
                "http.response.status_code": 200,
            }
            host, _, its_port = app.address.partition(":")
            assert client.attributes == {
                "http.request.method": "GET",
                "server.address": host,
                "server.port": int(its_port),
                "headgate.upstream": "app",
                "headgate.connection.reused": False,
                "http.response.status_code": 200,
            }
            assert server.began_ns <= client.began_ns <= client.ended_ns <= server.ended_ns
            assert abs(server.began_ns / 1e9 - time.time()) < 600
            assert "s3cret" not in node.command("config").stdout
            assert "s3cret" not in node.admin("GET", "/config")[1].decode()
            head = collector.heads[0]
            assert head["content-type"] == "application/x-protobuf"
            assert head["authorization"] == "Bearer s3cret"


def test_an_ipv6_host_has_no_brackets(folder: Path) -> None:
    port = free_port()
    with EchoUpstream() as app, OtlpReceiver() as collector:
        text = config(port, app.address, collector.endpoint)
        with RunningNode(folder, text).until_ready():
            head = f"GET /app HTTP/1.1\r\nHost: [::1]:8080\r\nTraceparent: {PARENT}\r\n"
            with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as s:
                s.sendall(f"{head}Connection: close\r\n\r\n".encode())
                while s.recv(65_536):
                    pass
            server, _ = collector.whole(TRACE, 2)
            assert server.attributes["server.address"] == "::1"
            assert server.attributes["server.port"] == 8080


def test_a_unix_socket_is_named_by_its_path(folder: Path) -> None:
    port, path = free_port(), f"{folder}/none.sock"
    with OtlpReceiver() as collector:
        text = config(port, f"unix:{path}", collector.endpoint)
        with RunningNode(folder, text).until_ready():
            ask(port, "/app", [("traceparent", PARENT)])
            _, one = collector.whole(TRACE, 2)
            assert one.attributes["server.address"] == path
            assert "server.port" not in one.attributes


@pytest.fixture
def failing() -> Iterator[int]:
    """The port of a server that answers 503 to everything."""

    class Failing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(503)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving_http(Failing) as port:
        yield port


def asked(port: int, path: str, number: int) -> str:
    """The id of a trace, in which a path was asked for."""
    trace = f"{number:032x}"
    ask(port, path, [("traceparent", f"00-{trace}-{SPAN}-01")])
    return trace


def test_retries_failures_and_waits_have_spans(folder: Path, dead: int, failing: int) -> None:
    port = free_port()
    with EchoUpstream() as app, OtlpReceiver() as collector:
        text = config(port, app.address, collector.endpoint, dead=dead, failing=failing)
        with RunningNode(folder, text).until_ready():
            server, *tries = collector.whole(asked(port, "/again", 1), 4)
            assert server.attributes["http.response.status_code"] == 503
            assert [one.attributes.get("http.request.resend_count") for one in tries] == [
                None,
                1,
                2,
            ]
            for one in tries:
                assert (one.kind, one.parent, one.is_error) == (CLIENT, server.span, True)
                assert one.attributes["http.response.status_code"] == 503
                assert one.attributes["error.type"] == "503"
            assert len({one.span for one in tries}) == 3

            server, wait, client = collector.whole(asked(port, "/slow", 2), 3)
            assert (wait.kind, wait.name, wait.parent) == (INTERNAL, "fault", server.span)
            assert wait.ended_ns - wait.began_ns >= 19_000_000
            assert client.began_ns >= wait.ended_ns

            server, wait, client = collector.whole(asked(port, "/asked", 3), 3)
            assert (wait.kind, wait.name, client.kind) == (INTERNAL, "forward_auth", CLIENT)

            server, client = collector.whole(asked(port, "/gone", 4), 2)
            assert (server.is_error, client.is_error) == (True, True)
            assert client.attributes["error.type"] == "connect"
            assert server.attributes["error.type"] == server.attributes["headgate.reason"]

            (server,) = collector.whole(asked(port, "/none", 5), 1)
            assert (server.name, server.is_error) == ("GET", False)
            assert server.attributes["http.response.status_code"] == 404


def test_what_is_not_recorded_is_not_sent(folder: Path) -> None:
    port = free_port()
    with EchoUpstream() as app, OtlpReceiver() as collector:
        text = config(port, app.address, collector.endpoint, tracing="sample = 0")
        with RunningNode(folder, text).until_ready():
            ask(port, "/app")
            ask(port, "/app", [("traceparent", PARENT[:-1] + "0")])
            ask(port, "/quiet", [("traceparent", PARENT)])
            collector.whole(asked(port, "/app", 7), 2)
            assert {one.trace for one in collector.spans()} == {f"{7:032x}"}


def test_a_collector_that_comes_back_gets_what_was_recorded_meanwhile(folder: Path) -> None:
    port, place = free_port(), free_port()
    with EchoUpstream() as app:
        endpoint = f"http://127.0.0.1:{place}"
        with RunningNode(folder, config(port, app.address, endpoint)).until_ready() as node:
            trace = asked(port, "/app", 1)
            until(lambda: node.metric("headgate_traces_failing") == 1, "the failure")
            until_status_says(node, "traces failing")
            assert "spans do not reach the collector" in node.until_told("traces.failing")
            assert get(port, "/app")[0] == 200, "requests do not mind"
            with OtlpReceiver(place) as collector:
                collector.whole(trace, 2)
                until(lambda: node.metric("headgate_traces_failing") == 0, "that it works again")
                until(lambda: node.metric("headgate_traces_exported_total") >= 4, "the counts")
                node.until_told("traces.working")
            failures = 'headgate_traces_export_failures_total{reason="connect"}'
            until_metric_at_least(node, failures, 1)


def test_what_a_collector_refuses_is_counted_and_what_it_wants_later_comes_later(
    folder: Path,
) -> None:
    port = free_port()
    with EchoUpstream() as app, OtlpReceiver() as collector:

        def refused() -> float:
            page = node.admin("GET", "/metrics")[1].decode()
            name = 'headgate_traces_dropped_total{reason="refused"} '
            return float(page.partition(name)[2].partition("\n")[0])

        text = config(port, app.address, collector.endpoint)
        with RunningNode(folder, text).until_ready() as node:
            collector.status = 500
            asked(port, "/app", 1)
            until(lambda: refused() == 2, "two refused spans")
            collector.status = 503
            trace = asked(port, "/app", 2)
            until(lambda: collector.asked >= 3, "a second try")
            collector.status = 200
            collector.whole(trace, 2)
            collector.rejects = 1
            asked(port, "/app", 3)
            until(lambda: refused() == 3, "one more, of which the answer tells")


def test_a_collector_that_hangs_delays_no_request(folder: Path) -> None:
    port = free_port()
    with EchoUpstream() as app, OtlpReceiver() as collector:
        collector.hold.clear()
        text = config(port, app.address, collector.endpoint)
        with RunningNode(folder, text).until_ready():
            first = asked(port, "/app", 1)
            until(lambda: collector.asked >= 1, "an export that hangs")
            others = [asked(port, "/app", number) for number in range(2, 30)]
            collector.hold.set()
            for trace in (first, *others):
                collector.whole(trace, 2)


def test_a_reload_changes_where_spans_go(folder: Path) -> None:
    port = free_port()
    with EchoUpstream() as app, OtlpReceiver() as one, OtlpReceiver() as two:
        text = config(port, app.address, one.endpoint)
        with RunningNode(folder, text).until_ready() as node:
            one.whole(asked(port, "/app", 1), 2)
            more = 'service_name = "other"'
            node.write(config(port, app.address, two.endpoint, tracing=more))
            number = iter(range(2, 10_000))
            until(lambda: bool(asked(port, "/app", next(number)) and two.spans()), "the second one")
            last = asked(port, "/app", 10_000)
            assert {span.service for span in two.whole(last, 2)} == {"other"}
            later = asked(port, "/app", 10_001)
            two.whole(later, 2)
            assert not {last, later} & {span.trace for span in one.spans()}


def test_what_is_left_at_the_end_is_sent(folder: Path) -> None:
    port = free_port()
    with EchoUpstream() as app, OtlpReceiver() as collector:
        text = config(port, app.address, collector.endpoint)
        with RunningNode(folder, text).until_ready() as node:
            trace = asked(port, "/app", 1)
            node.process.terminate()
            node.process.wait(DEADLINE_S)
            collector.whole(trace, 2)


def test_an_endpoint_that_is_none_is_refused_at_its_place(folder: Path) -> None:
    path = folder / "headgate.toml"
    path.write_text(config(8000, "127.0.0.1:1", "https://c:99999"))
    done = subprocess.run(
        [str(HEADGATE), "check", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert (
        'node.tracing.endpoint: "https://c:99999" is not the URL of a collector'
        in done.stdout + done.stderr
    )
