"""Many of everything: routes at one place, hosts with certificates, listeners."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from nginx_engine import NginxEngine, expressed, loaded_file, stream_capabilities, target
from ports import free_ports
from tls_authority import Authority, Pair
from wire import Wire
from work import faster_than

LISTENER = '[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n'
ROUTE = """
[routes.r{n}]
hosts = ["a.example"]
match = [{{ path = {{ prefix = "/v1" }}, headers = {{ x-n = {{ exact = "{n}" }} }} }}]
respond = {{ body = "{n}" }}
"""
AT_ONE_PLACE = 150
UPSTREAM = '[upstreams.u{n}]\nendpoints = ["127.0.0.1:9000"]\n'
TLS_HOST = """
[certificates.c{n}]
cert_file = "{cert}"
key_file = "{key}"
[hosts."h{n}.example"]
certificate = "c{n}"
[routes.r{n}]
hosts = ["h{n}.example"]
upstream = "u{n}"
"""
HTTP = """
[listeners.l{n}]
address = "127.0.0.1:{port}"
client_ip = {{ trusted = ["10.0.0.0/8"] }}
[routes.r{n}]
listeners = ["l{n}"]
upstream = "u{n}"
"""
TCP = """
[listeners.l{n}]
address = "127.0.0.1:{port}"
protocol = "tcp"
[tcp_routes.r{n}]
listeners = ["l{n}"]
upstream = "u{n}"
"""
TCP_NAME = """
[tcp_routes.r{n}]
listeners = ["l"]
sni = ["h{n}.example"]
upstream = "u{n}"
"""
UDP = """
[listeners.l{n}]
address = "127.0.0.1:{port}"
protocol = "udp"
[udp_routes.r{n}]
listeners = ["l{n}"]
upstream = "u{n}"
"""
TLS = """
[listeners.l]
address = "127.0.0.1:8000"
default = true
tls = {{ default_certificate = "c{first}" }}
"""
SHAPES = {
    "certificates": (TLS, TLS_HOST + UPSTREAM),
    "listeners of HTTP": ("", HTTP + UPSTREAM),
    "listeners of TCP": ("", TCP + UPSTREAM),
    "listeners of UDP": ("", UDP + UPSTREAM),
    "names of a TCP listener": (
        '[listeners.l]\naddress = "127.0.0.1:8000"\nprotocol = "tcp"\n',
        TCP_NAME + UPSTREAM,
    ),
}
"""Texts of configs: the beginning, and what `n` counts."""


def get(wire: Wire, path: str, *headers: str) -> tuple[int, bytes]:
    """(status, body) of a request to a.example."""
    lines = "".join(f"{header}\r\n" for header in headers)
    answer = wire.ask(f"GET {path} HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n".encode())
    return answer.status, answer.body


def test_more_conditions_at_one_place_than_variables_nest() -> None:
    (port,) = free_ports(1)
    text = LISTENER.format(port=port) + "".join(ROUTE.format(n=n) for n in range(AT_ONE_PLACE))
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        config = Path(folder) / "headgate.toml"
        config.write_text(text)
        with NginxEngine(config, Path(folder)), Wire(port) as wire:
            for number in range(AT_ONE_PLACE):
                assert get(wire, "/v1/x", f"X-N: {number}") == (200, str(number).encode())
            assert get(wire, "/v1", "X-N: none")[0] == 404
            assert get(wire, "/", "X-N: 1")[0] == 404


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A certificate and its key."""
    return Authority(tmp_path).issue("a", "*.example")


@pytest.mark.parametrize("shape", SHAPES)
def test_work_grows_with_the_number_of_things_and_not_faster(
    shape: str, pair: Pair, tmp_path: Path
) -> None:
    head, each = SHAPES[shape]

    def rendering(count: int) -> Callable[[], object]:
        values = {"cert": pair.cert_file, "key": pair.key_file}
        # Words that were written before are known, so each config has its own.
        own = f"{[*SHAPES].index(shape)}x{count}"
        things = [(f"{own}x{n}", 10_000 + 100 * count + n) for n in range(count)]
        text = "".join(each.format(n=n, port=port, **values) for n, port in things)
        config = tmp_path / "c.toml"
        config.write_text(head.format(first=things[0][0]) + text)
        return lambda: expressed(loaded_file(config), target("/s", stream_capabilities()))

    assert faster_than(rendering) == []
