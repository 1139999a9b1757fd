"""Spans over TLS: whom a node believes to be its collector, what it shows of itself, and what it
says where they do not agree."""

import ssl
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from otlp_receiver import OtlpReceiver
from ports import free_port
from running_node import HEADGATE, RunningNode, Upstream, get
from running_node import config as plain_config
from tls_authority import Authority, Pair
from told import until_metric, until_metrics_say
from tracing_client import ask
from waiting import until

FAILURES: Final = 'headgate_traces_export_failures_total{reason="tls"}'


def config(port: int, app: str, endpoint: str, tracing: str) -> str:
    """A config whose spans go to an endpoint, with more lines about that."""
    return plain_config(port, app, extra=f'[node.tracing]\nendpoint = "{endpoint}"\n{tracing}\n')


def asked(port: int, path: str, number: int) -> str:
    """The id of a trace, in which a path was asked for."""
    trace = f"{number:032x}"
    ask(port, path, [("traceparent", f"00-{trace}-00f067aa0ba902b7-01")])
    return trace


def server_context(pair: Pair, clients: Authority | None = None) -> ssl.SSLContext:
    """What a collector shows, and whose certificates it asks for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert_file, pair.key_file)
    context.set_alpn_protocols(["http/1.1"])
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.ca_file)
    return context


def tls_lines(authority: Authority, **more: object) -> str:
    keys = {"ca_file": authority.ca_file} | more
    return "tls = { " + ", ".join(f'{key} = "{value}"' for key, value in keys.items()) + " }"


def test_spans_arrive_over_tls(folder: Path) -> None:
    authority = Authority(folder)
    pair = authority.issue("collector", "127.0.0.1")
    port = free_port()
    with closing(Upstream("a")) as app, OtlpReceiver(tls=server_context(pair)) as collector:
        text = config(port, app.address, collector.endpoint, tracing=tls_lines(authority))
        with RunningNode(folder, text).until_ready() as node:
            for number in (1, 2):
                collector.whole(asked(port, "/app", number), 2)
            until(lambda: node.metric("headgate_traces_exported_total") == 4, "the counts")
            until_metric(node, FAILURES, 0)


def test_a_name_is_looked_up_and_verified(folder: Path) -> None:
    authority = Authority(folder)
    pair = authority.issue("collector", "collector.example")
    port = free_port()
    with closing(Upstream("a")) as app, OtlpReceiver(tls=server_context(pair)) as collector:
        endpoint = f"https://localhost:{collector.port}"
        lines = tls_lines(authority, verify_name="collector.example")
        text = config(port, app.address, endpoint, tracing=lines)
        with RunningNode(folder, text).until_ready():
            collector.whole(asked(port, "/app", 1), 2)


def test_a_collector_may_ask_who_sends(folder: Path) -> None:
    authority = Authority(folder)
    pair = authority.issue("collector", "127.0.0.1")
    own = authority.issue("edge", "edge.example")
    port = free_port()
    context = server_context(pair, authority)
    with closing(Upstream("a")) as app, OtlpReceiver(tls=context) as collector:
        lines = tls_lines(authority, cert_file=own.cert_file, key_file=own.key_file)
        with RunningNode(
            folder, config(port, app.address, collector.endpoint, tracing=lines)
        ).until_ready() as node:
            collector.whole(asked(port, "/app", 1), 2)
            until_metrics_say(node, 'certificate="node.tracing"')  # its expiry is watched
            # Without it, the collector says no.
            node.write(config(port, app.address, collector.endpoint, tracing=tls_lines(authority)))
            number = iter(range(2, 10_000))
            until(
                lambda: bool(asked(port, "/app", next(number)) and node.metric(FAILURES)),
                "the failure",
            )


@pytest.mark.parametrize("wrong", ["authority", "name", "roots"])
def test_nobody_else_gets_spans(folder: Path, wrong: str) -> None:
    authority, other = Authority(folder), Authority(folder, "another authority")
    name = "other.example" if wrong == "name" else "127.0.0.1"
    pair = authority.issue("collector", name)
    lines = {
        "authority": tls_lines(other),
        "name": tls_lines(authority),
        "roots": "",
    }[wrong]
    port = free_port()
    with closing(Upstream("a")) as app, OtlpReceiver(tls=server_context(pair)) as collector:
        text = config(port, app.address, collector.endpoint, tracing=lines)
        with RunningNode(folder, text).until_ready() as node:
            asked(port, "/app", 1)
            until(lambda: node.metric(FAILURES) >= 1, "the failure")
            until_metric(node, "headgate_traces_failing", 1)
            assert "invalid peer certificate" in node.until_told("traces.failing")
            assert get(port, "/app")[0] == 200, "requests do not mind"
            assert collector.asked == 0


def test_a_server_without_tls_is_no_collector_with_it(folder: Path) -> None:
    authority = Authority(folder)
    port = free_port()
    with closing(Upstream("a")) as app, OtlpReceiver() as collector:
        endpoint = collector.endpoint.replace("http:", "https:")
        text = config(port, app.address, endpoint, tracing=tls_lines(authority))
        with RunningNode(folder, text).until_ready() as node:
            asked(port, "/app", 1)
            until(lambda: node.metric(FAILURES) >= 1, "the failure")
            assert collector.asked == 0


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('tls = { ca_file = "{folder}/none" }', "node.tracing.tls.ca_file: "),
        ('tls = { ca_file = "{folder}/bad" }', "node.tracing.tls.ca_file: "),
        ('tls = { cert_file = "{folder}/a.pem" }', "`cert_file` needs `key_file`"),
        (
            'tls = { cert_file = "{folder}/a.pem", key_file = "{folder}/b.key" }',
            "node.tracing.tls.key_file: ",
        ),
    ],
)
def test_what_cannot_be_used_is_an_error_of_check(folder: Path, lines: str, said: str) -> None:
    authority = Authority(folder)
    authority.issue("a", "a.example")
    authority.issue("b", "b.example")
    (folder / "bad").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    path = folder / "headgate.toml"
    more = lines.replace("{folder}", str(folder))
    path.write_text(config(8000, "127.0.0.1:1", "https://c:4318", tracing=more))
    done = subprocess.run(
        [str(HEADGATE), "check", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
