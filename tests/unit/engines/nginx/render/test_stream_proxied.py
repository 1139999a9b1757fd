"""PROXY headers of TCP on a real nginx: who is believed, who is told, what is refused."""

import socket
import threading
from pathlib import Path

import pytest
from cut_off import heard
from stream_nginx import refused, served
from tcp_echo import Echo
from waiting import DEADLINE_S

pytestmark = pytest.mark.usefixtures("has_stream")

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n"
TRUSTED = 'proxy_protocol = { trusted = ["127.0.0.1"] }'


def raw(port: int, endpoint: str, *, listener: str = "", upstream: str = "") -> str:
    """A config with one route."""
    return f"""
[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "tcp"
{listener}
[tcp_routes.raw]
listeners = "raw"
upstream = "raw"
[upstreams.raw]
endpoints = ["{endpoint}"]
{upstream}
"""


def split(port: int, echoes: list[Echo]) -> str:
    """A config whose route for clients of 192.0.2.0/24 leads to `b`, behind a load balancer."""
    other = f"""
[tcp_routes.near]
listeners = "raw"
client = ["192.0.2.0/24"]
upstream = "near"
[upstreams.near]
endpoints = ["127.0.0.1:{echoes[1].port}"]
"""
    return raw(port, f"127.0.0.1:{echoes[0].port}", listener=TRUSTED) + other


def said(port: int, *data: bytes, source: str = "127.0.0.1") -> bytes:
    """What comes back on a connection that sends this, and its end."""
    return heard(port, *data, source=source, is_half_closed=True)


def test_the_client_of_the_header_chooses_the_route(
    tmp_path: Path, port: int, echoes: list[Echo]
) -> None:
    with served(tmp_path, split(port, echoes)):
        assert said(port, V1, b"hello") == b"bhello"
        assert said(port, V1.replace(b"192.0.2.7", b"203.0.113.1"), b"hello") == b"ahello"
        assert said(port, b"PROXY UNKNOWN\r\n", b"hello") == b"ahello"


def test_a_stranger_s_header_and_none_at_all_reach_nobody(
    tmp_path: Path, port: int, echoes: list[Echo]
) -> None:
    with served(tmp_path, split(port, echoes)):
        assert said(port, V1, b"hello", source="127.0.0.2") == b""
        assert said(port, b"hello, this is no header of either version\r\n") == b""


def test_endpoints_are_told_of_the_client(tmp_path: Path, port: int) -> None:
    heard: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            while part := connection.recv(65536):
                heard.append(part)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve, args=(listening,))
        endpoint = f"127.0.0.1:{listening.getsockname()[1]}"
        text = raw(port, endpoint, listener=TRUSTED, upstream='proxy_protocol = "v1"')
        with served(tmp_path, text):
            server.start()
            said(port, V1, b"hello")
            server.join(DEADLINE_S)
    first, _, rest = b"".join(heard).partition(b"\r\n")
    assert first.startswith(b"PROXY TCP4 192.0.2.7 ") and b" 56324 " in first
    assert rest == b"hello"


@pytest.mark.parametrize(
    ("listener", "upstream", "told"),
    [
        ('mode = "optional"', "", "listener raw: proxy_protocol.mode: "),
        ('mode = "required"', 'proxy_protocol = "v2"', "upstream raw: proxy_protocol: "),
    ],
)
def test_what_nginx_cannot_do_is_refused_by_its_place(
    tmp_path: Path, listener: str, upstream: str, told: str
) -> None:
    keys = TRUSTED.replace("}", f", {listener} }}")
    text = raw(5000, "127.0.0.1:1", listener=keys, upstream=upstream)
    assert refused(tmp_path, text).startswith(told)


def test_routes_of_a_listener_agree_in_what_endpoints_are_told(tmp_path: Path) -> None:
    other = """
[tcp_routes.some]
listeners = "raw"
client = ["10.0.0.0/8"]
upstream = "some"
[upstreams.some]
endpoints = ["127.0.0.1:1"]
proxy_protocol = "v1"
"""
    told = refused(tmp_path, raw(5000, "127.0.0.1:1") + other)
    assert "upstream: its `proxy_protocol`: nginx has one" in told


def test_an_nginx_that_cannot_tell_the_client_is_refused(tmp_path: Path) -> None:
    text = raw(5000, "127.0.0.1:1", listener=TRUSTED)
    told = refused(tmp_path, text, without="stream_realip")
    assert told == "listener raw: proxy_protocol: `stream` of this nginx has no realip"
