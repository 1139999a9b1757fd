"""Access logs as log records of OpenTelemetry, as its own messages read them, and what becomes of
them while the collector is away."""

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from access_log import AccessLog
from datagram_servers import Echo
from otlp_receiver import OtlpReceiver
from ports import free_port
from running_node import HEADGATE, RunningNode, Upstream, get
from tls_authority import Authority
from told import until_metric, until_metric_at_least, until_status_says
from tracing_client import ask
from waiting import DEADLINE_S, until

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = f"00-{TRACE}-00f067aa0ba902b7-01"
INFO: Final = (9, "INFO")
DROPPED: Final = 'headgate_access_log_export_dropped_total{reason="%s"}'
FAILURES: Final = 'headgate_access_log_export_failures_total{reason="%s"}'
CONFIG: Final = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}
{node}

[node.access_log]
sink = {sink}
{log}

[node.access_log.otlp]
endpoint = "{endpoint}"
{otlp}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.quiet]
match = [{{ path = {{ prefix = "/quiet" }} }}]
access_log = false
upstream = "app"

[routes.app]
match = [{{ path = {{ prefix = "/app" }} }}]
upstream = "app"

[upstreams.app]
endpoints = ["{app}"]
{more}
"""


def config(port: int, app: str, endpoint: str, **parts: str) -> str:
    """A config whose access log goes to a collector, and to no sink unless one is given."""
    known = {"sink": '"off"', "node": "", "log": "", "otlp": "", "more": ""}
    return CONFIG.format(port=port, app=app, endpoint=endpoint, **known | parts)


def test_a_request_becomes_a_log_record(folder: Path) -> None:
    port = free_port()
    with closing(Upstream("a")) as app, OtlpReceiver() as collector:
        text = config(port, app.address, collector.logs_endpoint, node="tracing = {}")
        with RunningNode(folder, text).until_ready():
            lines = [
                ("traceparent", PARENT),
                ("user-agent", "me"),
                ("referer", "http://r/?token=2"),
            ]
            ask(port, "/app/x?page=2&token=1", lines)
            (record,) = collector.records(1)
            assert (record.severity, record.service) == (INFO, "headgate")
            assert (record.trace, record.flags & 1) == (TRACE, 1)
            line = json.loads(record.body)
            assert (line["target"], line["span_id"]) == (
                "/app/x?page=2&token=(secret)",
                record.span,
            )
            about = dict(record.attributes)
            assert about.pop("headgate.request_id") == line["request_id"]
            assert about.pop("headgate.total_us") == line["total_us"]
            assert about.pop("headgate.connect_us") == line["connect_us"]
            assert about.pop("headgate.first_byte_us") == line["first_byte_us"]
            assert about.pop("http.response.body.size") == line["bytes_out"]
            assert about == {
                "client.address": "127.0.0.1",
                "http.request.method": "GET",
                "http.request.body.size": 0,
                "http.request.header.referer": ["http://r/?token=(secret)"],
                "http.response.status_code": 200,
                "http.route": "app",
                "network.protocol.version": "1.1",
                "server.address": "a.example",
                "url.path": "/app/x",
                "url.query": "page=2&token=(secret)",
                "url.scheme": "http",
                "user_agent.original": "me",
                "headgate.connection.reused": False,
                "headgate.endpoint": app.address,
                "headgate.listener": "web",
                "headgate.route": "app",
                "headgate.upstream": "app",
            }
            assert record.observed_ns - record.time_ns == line["total_us"] * 1_000
            assert abs(record.time_ns / 1e9 - time.time()) < 600


def test_each_export_has_its_key_and_is_counted(folder: Path) -> None:
    port = free_port()
    with closing(Upstream("a")) as app, OtlpReceiver() as collector:
        (folder / "key").write_text("Bearer s3cret\n")
        otlp = f'service_name = "edge"\nheaders = {{ authorization = {{ file = "{folder}/key" }} }}'
        text = config(port, app.address, collector.logs_endpoint, otlp=otlp)
        with RunningNode(folder, text).until_ready() as node:
            assert get(port, "/quiet")[0] == 200
            assert get(port, "/none")[0] == 404
            (refused,) = collector.records(1)
            assert (refused.service, refused.trace) == ("edge", "")
            assert refused.attributes["headgate.reason"] == "no-route"
            assert "headgate.upstream" not in refused.attributes
            assert collector.heads[0]["content-type"] == "application/x-protobuf"
            assert collector.heads[0]["authorization"] == "Bearer s3cret"
            assert "s3cret" not in node.command("config").stdout
            until(lambda: node.metric("headgate_access_log_exported_total") == 1, "the count")


def test_a_file_and_a_collector_get_the_same_lines(folder: Path) -> None:
    port = free_port()
    with closing(Upstream("a")) as app, OtlpReceiver() as collector:
        log = 'template = "${status} ${target}"'
        sink = f'{{ path = "{folder}/access.log" }}'
        text = config(port, app.address, collector.logs_endpoint, log=log, sink=sink)
        with RunningNode(folder, text).until_ready():
            for number in range(30):
                ask(port, f"/app/{number}")
            records = collector.records(30)
            lines = AccessLog(folder / "access.log").texts(30)
            assert sorted(one.body for one in records) == sorted(lines)
            for one in records:
                assert set(one.attributes) == {"http.response.status_code", "url.path"}, (
                    "what a template leaves out is in no attribute"
                )


def test_connections_and_flows_become_log_records(folder: Path) -> None:
    port, raw, dns = free_port(), free_port(), free_port()
    with closing(Upstream("a")) as app, closing(Echo()) as echo, OtlpReceiver() as collector:
        more = f"""
[listeners.raw]
address = "127.0.0.1:{raw}"
protocol = "tcp"
[tcp_routes.raw]
listeners = ["raw"]
upstream = "app"
[listeners.dns]
address = "127.0.0.1:{dns}"
protocol = "udp"
[upstreams.echo]
endpoints = ["127.0.0.1:{echo.port}"]
[udp_routes.dns]
listeners = ["dns"]
upstream = "echo"
answers = 1
"""
        text = config(port, app.address, collector.logs_endpoint, more=more)
        with RunningNode(folder, text).until_ready():
            ask(raw, "/tcp")
            (tcp,) = collector.records(1)
            assert tcp.attributes["network.transport"] == "tcp"
            assert tcp.attributes["headgate.route"] == "raw"
            assert "http.route" not in tcp.attributes
            assert tcp.attributes["headgate.bytes_in"] == json.loads(tcp.body)["bytes_in"]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.settimeout(DEADLINE_S)
                one.connect(("127.0.0.1", dns))
                one.send(b"hello")
                one.recv(100)
            udp = collector.records(2)[1]
            assert udp.attributes["network.transport"] == "udp"
            assert udp.attributes["headgate.datagrams_out"] == 1
            assert (udp.attributes["headgate.reason"], udp.trace) == ("answered", "")


def test_a_collector_that_comes_back_gets_what_was_logged_meanwhile(folder: Path) -> None:
    port, place = free_port(), free_port()
    with closing(Upstream("a")) as app:
        text = config(port, app.address, f"http://127.0.0.1:{place}")
        with RunningNode(folder, text).until_ready() as node:
            ask(port, "/app/1")
            until(lambda: node.metric("headgate_access_log_export_failing") == 1, "the failure")
            until_status_says(node, "access log export failing")
            assert "log records do not reach the collector" in node.until_told("access_log.failing")
            assert get(port, "/app/2")[0] == 200, "requests do not mind"
            with OtlpReceiver(place) as collector:
                collector.records(2)
                until(lambda: node.metric("headgate_access_log_export_failing") == 0, "the success")
                node.until_told("access_log.working")
            until_metric_at_least(node, FAILURES % "connect", 1)


def test_what_a_collector_refuses_is_counted_and_what_it_wants_later_comes_later(
    folder: Path,
) -> None:
    port = free_port()
    with closing(Upstream("a")) as app, OtlpReceiver() as collector:
        text = config(port, app.address, collector.logs_endpoint)
        with RunningNode(folder, text).until_ready() as node:
            collector.status = 400
            ask(port, "/app/1")
            until(lambda: node.metric(DROPPED % "refused") == 1, "a refused record")
            collector.status = 429
            ask(port, "/app/2")
            until(lambda: collector.asked >= 3, "a second try")
            collector.status = 200
            assert '"/app/2"' in collector.records(1)[0].body
            collector.rejects = 1
            ask(port, "/app/3")
            until(lambda: node.metric(DROPPED % "refused") == 2, "one of which the answer tells")
            until_metric(node, "headgate_access_log_exported_total", 1)


def test_a_collector_that_hangs_delays_no_request(folder: Path) -> None:
    port = free_port()
    with closing(Upstream("a")) as app, OtlpReceiver() as collector:
        collector.hold.clear()
        with RunningNode(folder, config(port, app.address, collector.logs_endpoint)).until_ready():
            ask(port, "/app/0")
            until(lambda: collector.asked >= 1, "an export that hangs")
            for number in range(1, 30):
                ask(port, f"/app/{number}")
            collector.hold.set()
            collector.records(30)


def test_a_reload_changes_where_records_go_and_what_is_left_at_the_end_is_sent(
    folder: Path,
) -> None:
    port = free_port()
    with closing(Upstream("a")) as app, OtlpReceiver() as one, OtlpReceiver() as two:
        text = config(port, app.address, one.logs_endpoint)
        with RunningNode(folder, text).until_ready() as node:
            ask(port, "/app/1")
            one.records(1)
            node.write(config(port, app.address, two.logs_endpoint, log='format = "common"'))
            until(lambda: bool(ask(port, "/app/2") and two.asked), "the second one")
            assert node.admin("POST", "/reload")[0] == 200  # every worker has the change then
            ask(port, "/app/last")
            os.kill(node.process.pid, signal.SIGTERM)
            node.process.wait(DEADLINE_S)
            (last,) = (one for one in two.records(2) if "/app/last" in one.body)
            assert '"GET /app/last HTTP/1.1" 200' in last.body
            assert last.attributes["headgate.upstream"] == "app", "a format hides no attribute"


def test_records_arrive_over_tls_and_nobody_else_gets_them(folder: Path) -> None:
    import ssl  # noqa: PLC0415

    authority, other = Authority(folder), Authority(folder, "another authority")
    pair = authority.issue("collector", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert_file, pair.key_file)
    context.set_alpn_protocols(["http/1.1"])
    port = free_port()
    with closing(Upstream("a")) as app, OtlpReceiver(tls=context) as collector:

        def believing(whom: Authority) -> str:
            tls = f'tls = {{ ca_file = "{whom.ca_file}" }}'
            return config(port, app.address, collector.logs_endpoint, otlp=tls)

        with RunningNode(folder, believing(other)).until_ready() as node:
            ask(port, "/app/1")
            until(lambda: node.metric(FAILURES % "tls") >= 1, "the failure")
            assert "invalid peer certificate" in node.until_told("access_log.failing")
            assert collector.asked == 0
            node.write(believing(authority))
            collector.records(1)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('[node.access_log]\nsink = "off"', "node.access_log.sink: no sink and no collector"),
        ("[node.access_log.otlp]", "node.access_log.otlp"),
        (
            '[node.access_log.otlp]\nendpoint = "c:1"',
            'node.access_log.otlp.endpoint: "c:1" is not the URL of a collector',
        ),
        (
            '[node.access_log.otlp]\nendpoint = "https://c"\ntls = { ca_file = "/none" }',
            "node.access_log.otlp.tls.ca_file: ",
        ),
        (
            '[node]\nengine = "nginx"\n[node.access_log.otlp]\nendpoint = "http://c"',
            "node.access_log.otlp: nginx sends no log records",
        ),
    ],
)
def test_what_cannot_be_used_is_an_error_of_check(folder: Path, lines: str, said: str) -> None:
    path = folder / "headgate.toml"
    path.write_text(
        f'{lines}\n[listeners.web]\naddress = "127.0.0.1:8000"\ndefault = true\n'
        "[routes.all]\nrespond = { status = 204 }\n"
    )
    done = subprocess.run(
        [str(HEADGATE), "check", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
