"""UDP listeners as servers of nginx's `stream`, and what it cannot do for them."""

import re
from pathlib import Path

import pytest
from nginx_engine import expressed, loaded_file, stream_capabilities, target
from stream_nginx import refused

TEXT = """
[listeners.names]
address = ["127.0.0.1:5353", "[::1]:5353"]
protocol = "udp"
limits = {{ flows = {flows} }}
[udp_routes.names]
listeners = "names"
upstream = "names"
client = "10.0.0.0/8"
answers = 1
timeouts = {{ idle = "10s" }}
[upstreams.names]
endpoints = ["127.0.0.1:9053", "127.0.0.1:9054"]
balance = {{ ring_hash = {{ key = "client_ip" }} }}
{more}
"""
SECOND = """
[udp_routes.others]
listeners = "names"
upstream = "names"
{more}
"""


def text(flows: int = 200, more: str = "") -> str:
    return TEXT.format(flows=flows, more=more)


def test_a_listener_is_a_server_with_a_socket_for_each_worker(tmp_path: Path) -> None:
    file = tmp_path / "headgate.toml"
    file.write_text(text())
    made = expressed(loaded_file(file), target(str(tmp_path), stream_capabilities()))
    assert made.listeners == ("udp:127.0.0.1:5353", "udp:[::1]:5353")
    (found,) = (one.content.decode() for one in made.files if one.path == "stream.conf")
    server = found[found.index("# listener names") :]
    for line in (
        "listen 127.0.0.1:5353 udp reuseport rcvbuf=4m;",
        "listen [::1]:5353 udp reuseport rcvbuf=4m ipv6only=on;",
        "allow 10.0.0.0/8;",
        "deny all;",
        "proxy_timeout 10s;",
        "proxy_responses 1;",
        "proxy_buffer_size 64k;",
    ):
        assert line in server
    assert re.search(r"limit_conn hg_udp_flow_\w+ 200;", server)
    assert 'default ""' in found
    assert "hash $remote_addr consistent;" in found
    assert "proxy_requests" not in server


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ('timeouts = { idle = "9s" }\nanswers = 1', "timeouts.idle"),
        ('timeouts = { idle = "10s" }', "answers"),
        ('timeouts = { idle = "10s" }\nanswers = 1\nbalance_by = "datagram"', "balance_by"),
    ],
)
def test_routes_of_a_listener_must_agree(tmp_path: Path, more: str, place: str) -> None:
    said = refused(tmp_path, text(more=SECOND.format(more=more)))
    assert f"udp_route others: {place}: nginx has one for all routes" in said


def test_what_nginx_cannot_do_is_refused_by_name(tmp_path: Path) -> None:
    assert "limits.flows: nginx counts 65535 flows at most" in refused(tmp_path, text(70_000))
    said = refused(tmp_path, text(more="outlier_detection = {}\ncircuit_breaker = {}"))
    assert "upstream names: outlier_detection: nginx does not tell a flow" in said
    assert "upstream names: circuit_breaker: nginx does not tell a flow" in said
    said = refused(tmp_path, text(more='proxy_protocol = "v2"'))
    assert "upstream names: proxy_protocol: nginx tells endpoints in front of the first" in said
    proxied = text().replace("limits", 'proxy_protocol = { trusted = ["10.0.0.0/8"] }\nlimits')
    said = refused(tmp_path, proxied)
    assert "listener names: proxy_protocol: nginx reads no header in front of datagrams" in said
    named = text(more=SECOND.format(more='sni = "a.example"'))
    assert "udp_route others: sni: nginx reads no QUIC" in refused(tmp_path, named)
    slowed = text(more=SECOND.format(more='bandwidth = { upload = "1MB/s" }'))
    assert "udp_route others: bandwidth: nginx holds" in refused(tmp_path, slowed)
    said = refused(tmp_path, text(), mode="guest")
    assert "listener names: protocol: a foreign nginx.conf" in said
    for word, why in (("stream", "no `stream`"), ("stream_udp", "no listen … udp")):
        assert why in refused(tmp_path, text(), without=word)
