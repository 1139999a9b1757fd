"""Endpoints of others that speak HTTP/2, behind a node from its start to its end."""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from peers import peer
from ports import free_port
from running_node import RunningNode, config
from tls_authority import Authority
from told import until_metric, until_metric_at_least, until_status_says
from waiting import DEADLINE_S, until


def is_open(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def nghttpd(folder: Path, *arguments: str, pair: tuple[str, ...] = ()) -> Iterator[int]:
    """An nghttpd that serves the folder `www`; yields its port."""
    port = free_port()
    root = folder / "www"
    root.mkdir(exist_ok=True)
    (root / "index.html").write_text("hello")
    (root / "large").write_bytes(b"x" * 3_000_000)
    secure = () if pair else ("--no-tls",)
    command = [str(peer("nghttpd")), "-a", "127.0.0.1", "-d", str(root), "--echo-upload"]
    with subprocess.Popen(
        [*command, *secure, *arguments, str(port), *pair],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            until(lambda: is_open(port), "nghttpd listens")
            yield port
        finally:
            server.kill()


def http2(port: int, upstream: int, keys: str) -> str:
    """The usual config, whose upstream has these further keys and whose clients may use HTTP/2."""
    text = config(port, f"127.0.0.1:{upstream}") + keys + "\n"
    return text.replace("[listeners.web]\n", "[listeners.web]\nh2c = true\n")


def run(*command: str) -> str:
    """What a command prints; fails if the command does."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def curl(*arguments: str) -> str:
    """What curl prints."""
    return run("curl", "--silent", "--show-error", *arguments)


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_bodies_pass_to_and_from_an_endpoint_without_tls(
    folder: Path, port: int, version: str
) -> None:
    with (
        nghttpd(folder) as upstream,
        RunningNode(folder, http2(port, upstream, 'protocol = "h2c"')).until_ready() as node,
    ):
        url = f"http://127.0.0.1:{port}"
        assert curl(version, url + "/") == "hello"
        assert len(curl(version, url + "/large")) == 3_000_000
        sent = folder / "sent"
        sent.write_bytes(bytes(i % 251 for i in range(500_000)))
        got = folder / "got"
        upload = ("--data-binary", f"@{sent}", "--output", str(got))
        curl(version, *upload, url + "/")
        assert got.read_bytes() == sent.read_bytes()
        curl(version, "-H", "Transfer-Encoding: chunked", *upload, url + "/")
        assert got.read_bytes() == sent.read_bytes()
        until_metric_at_least(node, "headgate_http2_upstream_connections_opened_total", 1)
        until_metric(node, "headgate_http2_upstream_streams_opened_total", 4)
        until(lambda: node.metric("headgate_http2_upstream_streams") == 0, "no stream is left")


@pytest.mark.parametrize("protocol", ["h2", "auto"])
def test_an_endpoint_with_tls_agrees_by_alpn(folder: Path, port: int, protocol: str) -> None:
    authority = Authority(folder)
    pair = authority.issue("a", "127.0.0.1")
    keys = f'protocol = "{protocol}"\ntls = {{ ca_file = "{authority.ca_file}" }}'
    files = (str(pair.key_file), str(pair.cert_file))
    with (
        nghttpd(folder, pair=files) as upstream,
        RunningNode(folder, http2(port, upstream, keys)).until_ready() as node,
    ):
        assert curl(f"http://127.0.0.1:{port}/") == "hello"
        until_metric(node, "headgate_http2_upstream_streams_opened_total", 1)
        health = json.loads(node.admin("GET", "/health")[1])
        assert health["upstreams"][0]["protocol"] == protocol
        assert health["upstreams"][0]["endpoints"][0]["negotiated"] == "h2"
        until_status_says(node, "1 requests, 0 failures, agreed on h2")
        asked = node.command("explain", "GET", "http://a.example/").stdout
        assert "up  agreed on h2" in asked
        backend = f'backend="app/127.0.0.1:{upstream}",protocol="h2"'
        until_metric(node, f"headgate_backend_negotiated_total{{{backend}}}", 1)
        status = json.loads(node.admin("GET", "/status")[1])
        assert status["engine"]["upstreams"][0]["protocol"] == protocol


def test_many_requests_of_both_versions_share_few_connections(folder: Path, port: int) -> None:
    with (
        nghttpd(folder, "-m", "100") as upstream,
        RunningNode(folder, http2(port, upstream, 'protocol = "h2c"')).until_ready() as node,
    ):
        url = f"http://127.0.0.1:{port}/"
        for version in (("--h1",), ("-m", "10")):
            said = run("h2load", "-n", "2000", "-c", "8", *version, url)
            assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in said, said
            assert "status codes: 2000 2xx" in said, said
        until_metric(node, "headgate_http2_upstream_streams_opened_total", 4000)
        assert node.metric("headgate_http2_upstream_connections_opened_total") <= 8


def test_an_endpoint_that_dies_and_comes_back_is_used_again(folder: Path, port: int) -> None:
    with nghttpd(folder) as upstream:
        text = http2(port, upstream, 'protocol = "h2c"')
        node = RunningNode(folder, text)
        with node.until_ready():
            url = f"http://127.0.0.1:{port}/"
            assert curl(url) == "hello"
            with nghttpd(folder) as other:
                node.write(http2(port, other, 'protocol = "h2c"'))
                assert node.admin("POST", "/reload")[0] == 200
                assert curl(url) == "hello"
            status = ("--output", "/dev/null", "--write-out", "%{http_code}")
            assert curl(*status, url) == "502"
            node.write(text)
            assert node.admin("POST", "/reload")[0] == 200
            assert curl(url) == "hello"


def test_announced_trailers_of_an_answer_with_a_length_reach_clients_of_http_1(
    folder: Path, port: int
) -> None:
    with (
        nghttpd(folder, "--trailer", "x-end: yes") as upstream,
        RunningNode(folder, http2(port, upstream, 'protocol = "h2c"')).until_ready(),
    ):
        url = f"http://127.0.0.1:{port}/"
        answer = curl("--include", "--raw", "--http1.1", url).lower()
        head, body = answer.split("\n\n", 1)
        assert "\ntrailer: x-end" in head
        assert "\ntransfer-encoding: chunked" in head and "content-length" not in head
        assert body == "5\nhello\n0\nx-end: yes\n\n"
        old = curl("--include", "--raw", "--http1.0", url).lower()
        assert "\ncontent-length: 5\n" in old and old.endswith("\n\nhello")
        assert "\ncontent-length: 5\n" in curl("--head", "--http1.1", url).lower()
