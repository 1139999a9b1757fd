"""Many routes: at one place, in one host, in many hosts."""

import tempfile
from pathlib import Path

from nginx_engine import NginxEngine
from ports import free_ports
from wire import Wire

LISTENER = '[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n'
ROUTE = """
[routes.r{n}]
hosts = ["a.example"]
match = [{{ path = {{ prefix = "/v1" }}, headers = {{ x-n = {{ exact = "{n}" }} }} }}]
respond = {{ body = "{n}" }}
"""
AT_ONE_PLACE = 150


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
