"""TLS towards the endpoints of TCP routes on a real nginx."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from nginx_engine import (
    NginxEngine,
)
from stream_nginx import refused, written
from tls_authority import Authority
from tls_echo import TlsEcho
from waiting import DEADLINE_S

pytestmark = pytest.mark.usefixtures("has_stream")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Who signed the endpoint's certificate."""
    return Authority(tmp_path)


@pytest.fixture
def echo(authority: Authority) -> Iterator[TlsEcho]:
    """A server that speaks first, inside TLS."""
    one = TlsEcho(b"a", authority.issue("a", "a.example"))
    yield one
    one.close()


def raw(port: int, *endpoints: int, tls: str = "", listener: str = "", more: str = "") -> str:
    """A config with one route to these ports."""
    listed = ", ".join(f'"127.0.0.1:{one}"' for one in endpoints)
    return f"""
[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "tcp"
{listener}
[tcp_routes.raw]
listeners = "raw"
upstream = "raw"
[upstreams.raw]
endpoints = [{listed}]
{tls}
{more}"""


def answers(port: int) -> bytes:
    """What a server says first, and then to a greeting."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as one:
        said = one.recv(1)
        one.sendall(b"hello")
        return said + one.recv(5, socket.MSG_WAITALL)


def test_nginx_speaks_tls_with_endpoints_and_verifies_them(
    tmp_path: Path, port: int, authority: Authority, echo: TlsEcho
) -> None:
    stranger = TlsEcho(b"b", Authority(tmp_path, "stranger").issue("b", "a.example"))
    tls = f'tls = {{ ca_file = "{authority.ca_file}", verify_name = "a.example" }}'
    text = raw(port, stranger.port, echo.port, tls=tls)
    try:
        with NginxEngine(written(tmp_path, text), tmp_path):
            assert {answers(port) for _ in range(4)} == {b"ahello"}
        assert set(echo.asked) == {"a.example"}
    finally:
        stranger.close()


OTHER = """
[tcp_routes.other]
listeners = "raw"
client = "10.0.0.0/8"
upstream = "other"
[upstreams.other]
endpoints = ["127.0.0.1:2"]
"""


def test_what_one_server_of_nginx_cannot_say_is_refused(tmp_path: Path) -> None:
    off = "tls = { verify = false }"
    assert refused(tmp_path, raw(5000, 1, tls=off), without="stream_proxy_ssl") == (
        "tcp_route raw: upstream: its `tls`: `stream` of this nginx has no proxy_ssl"
    )
    assert refused(tmp_path, raw(5000, 1, tls=off, more=OTHER)) == (
        "tcp_route raw: upstream: its `tls`: nginx has one for all routes of listener raw, and "
        "other has another"
    )
    assert refused(tmp_path, raw(5000, 1, tls=off, more=f"{OTHER}{off}\n")) == (
        "tcp_route raw: upstream: its `tls`: nginx has one name to verify; give `verify_name`"
    )
