"""One port that carries HTTP, TLS and plain TCP apart."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cut_off import heard
from running_node import RunningNode
from tcp_echo import Echo
from tls_authority import Authority
from tls_client import trusting
from told import until_metric
from waiting import DEADLINE_S, until

SILENCE = '"6s"'
"""Longer than a client that speaks may be held up."""


@pytest.fixture
def echoes() -> Iterator[list[Echo]]:
    """Two servers, `p` and `n`."""
    both = [Echo(b"p"), Echo(b"n")]
    yield both
    for one in both:
        one.close()


def config(port: int, echoes: list[Echo], listener: str, more: str = "") -> str:
    """A listener of HTTP with routes of TCP: plain, and by name."""
    return f"""
[node]
admin = "off"
drain = {{ delay = "1ms", idle_grace = "1ms", deadline = "1s" }}
[listeners.any]
address = "127.0.0.1:{port}"
{listener}
[routes.hello]
listeners = "any"
respond = {{ status = 200, body = "hello" }}
[tcp_routes.named]
listeners = "any"
sni = "n.example"
tls = "passthrough"
upstream = "n"
[tcp_routes.plain]
listeners = "any"
client = "127.0.0.1"
upstream = "p"
[upstreams.p]
endpoints = ["127.0.0.1:{echoes[0].port}"]
[upstreams.n]
endpoints = ["127.0.0.1:{echoes[1].port}"]
{more}"""


def hello(name: str) -> bytes:
    """What OpenSSL sends first."""
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    return out.read()


def detected(node: RunningNode, what: str) -> float:
    """How many connections began so."""
    return node.metric(f'headgate_connections_detected_total{{as="{what}"}}')


def exchange(port: int, pieces: list[bytes]) -> bytes:
    """Sends pieces one after the other, ends, and returns what came back."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            one.sendall(piece)
        one.shutdown(socket.SHUT_WR)
        got = b""
        while data := one.recv(65536):
            got += data
        return got


def asked(port: int) -> bytes:
    """The answer to a request that comes in two pieces, on a connection that serves two."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as one:
        for _ in range(2):
            one.sendall(b"GE")
            one.sendall(b"T / HTTP/1.1\r\nhost: a\r\n\r\n")
            answer = http.client.HTTPResponse(one)
            answer.begin()
            body = answer.read()
    return body


def test_a_plain_port_carries_all_three(folder: Path, port: int, echoes: list[Echo]) -> None:
    text = config(port, echoes, f"detect = {{ timeout = {SILENCE} }}")
    with RunningNode(folder, text).until_ready() as node:
        assert asked(port) == b"hello"
        whole = hello("n.example")
        for pieces in ([whole], [whole[:3], whole[3:40], whole[40:]]):
            assert exchange(port, pieces) == b"n" + whole
        # On a listener without TLS, TCP routes take all of it; this name has none.
        assert heard(port, hello("x.example"), most=1)[:1] == b"p"
        for pieces in ([b"EHLO a\r\n"], [b"OPTIONS ", b"rtsp://a/ RTSP/1.0\r\n"], [b"\x16\x03"]):
            assert exchange(port, pieces) == b"p" + b"".join(pieces)
        # Of an address that no route for plain TCP takes.
        assert heard(port, b"EHLO a\r\n", source="127.0.0.2", most=1) == b""
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as silent:
            assert silent.recv(1) == b"p"
            silent.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert silent.recv(9) == b"GET / HTT"
        counts = {"http1": 1, "tls": 3, "other": 4, "silent": 1, "http2": 0}
        for what, times in counts.items():
            until(lambda: detected(node, what) == times, what)  # noqa: B023
        until(lambda: node.metric("headgate_tcp_connections") == 0, "all have ended")
        until(
            lambda: node.metric('headgate_listener_connections{listener="any"}') == 0,
            "none is left",
        )


def test_a_port_of_https_keeps_what_no_tcp_route_takes(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    authority = Authority(folder)
    pair = authority.issue("a", "a.example", "n.example", "m.example")
    more = f"""
[hosts."m.example"]
tls_policy = "members"
certificate = "a"
[tls_policies.members]
client_auth = {{ ca_file = "{authority.ca_file}" }}
{pair.toml("a")}"""
    listener = f'detect = {{ timeout = {SILENCE} }}\ntls = {{ default_certificate = "a" }}\n'
    listener += 'proxy_protocol = { mode = "optional", trusted = ["127.0.0.1"] }'
    with RunningNode(folder, config(port, echoes, listener, more)).until_ready() as node:
        context = trusting(authority.ca_file)
        for protocol in ("x", "http/1.1"):
            context.set_alpn_protocols([protocol, "http/1.1"])
            with (
                socket.create_connection(("127.0.0.1", port), DEADLINE_S) as raw,
                context.wrap_socket(raw, server_hostname="a.example") as secure,
            ):
                secure.sendall(b"GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n")
                answer = http.client.HTTPResponse(secure)
                answer.begin()
                assert answer.read() == b"hello"
        # A name of a TCP route is not answered with our certificate for it.
        assert heard(port, hello("n.example"), most=1)[:1] == b"n"
        assert exchange(port, [b"PROXY TCP4 127.0.0.1 127.0.0.1 9 9\r\n", b"EHLO a\r\n"]) == (
            b"pEHLO a\r\n"
        )
        # A client without a certificate is refused as before, and plain HTTP is.
        with (
            socket.create_connection(("127.0.0.1", port), DEADLINE_S) as raw,
            pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"),
            context.wrap_socket(raw, server_hostname="m.example") as secure,
        ):
            secure.recv(1)
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as one, suppress(OSError):
            one.sendall(b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n")
            assert one.recv(1) == b""
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as silent:
            assert silent.recv(1) == b"p"
        until(lambda: detected(node, "tls") >= 3, "TLS is counted")


def test_without_a_route_for_plain_tcp_silence_ends_as_for_http(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    listener = 'detect = { timeout = "50ms" }\ntimeouts = { head = "6s" }'
    text = config(port, echoes, listener).replace('client = "127.0.0.1"', 'sni = "b.example"')
    with RunningNode(folder, text).until_ready() as node:
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as silent:
            assert silent.recv(1) == b""
        assert heard(port, b"EHLO a\r\n", most=1) == b""
        until(
            lambda: node.metric('headgate_tcp_closed_total{reason="no-route"}') == 1,
            "it is counted",
        )
        until_metric(node, 'headgate_connections_detected_total{as="silent"}', 0)
        assert asked(port) == b"hello"
