"""The values that limits count by and balancers hash: one for all its spellings, on a real nginx.

Each is read as the native engine reads it (`limit_key.rs`, `hg_policy::KeySource`).
"""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from http2_wire import ask as ask_http2
from nginx_engine import NginxEngine
from ports import free_ports
from socket_server import SocketServer
from tls_authority import Authority
from wire import Wire

SERVERS = 8
CONFIG = """
[listeners.web]
address = "127.0.0.1:{web}"
default = true

[listeners.secure]
address = "127.0.0.1:{secure}"
default = true
tls = {{ default_certificate = "a" }}

[middlewares]
cookie.rate_limit = {{ rate = {{ requests = 1, per = "1m" }}, key = "cookie:sid" }}
header.rate_limit = {{ rate = {{ requests = 1, per = "1m" }}, key = "header:x-api-key" }}

[routes]
cookie = {{ match = [{{ path.prefix = "/cookie" }}], middlewares = ["cookie"], upstream = "one" }}
header = {{ match = [{{ path.prefix = "/header" }}], middlewares = ["header"], upstream = "one" }}
http2 = {{ match = [{{ path.exact = "/x" }}], upstream = "by-header" }}
cookies = {{ match = [{{ path.prefix = "/by-cookie" }}], upstream = "by-cookie" }}
headers = {{ match = [{{ path.prefix = "/by-header" }}], upstream = "by-header" }}

[upstreams]
one = {{ endpoints = [{first}] }}
by-cookie = {{ endpoints = [{all}], balance = {{ ring_hash = {{ key = "cookie:sid" }} }} }}
by-header = {{ endpoints = [{all}], balance = {{ ring_hash = {{ key = "header:x-api-key" }} }} }}
"""
SPELLINGS = {
    "cookie": [
        *("Cookie: sid=KEY", "Cookie: sid=KEY ; x=1", "Cookie: sid=KEY\t;x=1", "Cookie: sid= KEY"),
        *('Cookie: sid="KEY"', "Cookie: sid =KEY", "Cookie: a=b;\tsid=KEY", "Cookie: a;sid=KEY"),
        *('Cookie: sid = "KEY" ;x', "Cookie: sid=KEY; sid=x", "Cookie: xsid=x; sid=KEY"),
    ],
    "header": [
        *("X-Api-Key: KEY", "X-Api-Key:KEY", "X-Api-Key:\tKEY", "X-Api-Key: KEY\t"),
        "x-api-key: \t KEY \t ",
    ],
}
OTHERS = {
    "cookie": ["Cookie: sid=KEYx", "Cookie: sid=K EY", "Cookie: sid=KEY,x"],
    "header": ["X-Api-Key: KEYx", "X-Api-Key: K EY", "X-Api-Key: K\tEY"],
}


class Named(SocketServer):
    """Says its port."""

    def serve(self, link: socket.socket) -> None:
        """Answers each request."""
        while link.recv(1 << 16):
            body = str(self.port).encode()
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


class Running(NamedTuple):
    """The running nginx."""

    web: int
    secure: int
    ca_file: Path


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hg-")))
        servers = [f'"{stack.enter_context(Named()).address}"' for _ in range(SERVERS)]
        web, secure = free_ports(2)
        authority = Authority(folder)
        text = CONFIG.format(web=web, secure=secure, first=servers[0], all=", ".join(servers))
        file = folder / "headgate.toml"
        file.write_text(text + authority.issue("a", "a.example").toml("a"))
        stack.enter_context(NginxEngine(file, folder))
        yield Running(web, secure, authority.ca_file)


def ask(port: int, path: str, line: str) -> tuple[int, bytes]:
    """The status and the body of an answer."""
    with Wire(port) as wire:
        answer = wire.ask(f"GET {path} HTTP/1.1\r\nHost: a.example\r\n{line}\r\n\r\n".encode())
        return answer.status, answer.body


@pytest.mark.parametrize(
    ("kind", "line"), [(kind, line) for kind, lines in SPELLINGS.items() for line in lines]
)
def test_a_limit_counts_every_spelling_of_a_value(running: Running, kind: str, line: str) -> None:
    value = f"{kind}{SPELLINGS[kind].index(line)}"
    plain = SPELLINGS[kind][0]
    assert ask(running.web, f"/{kind}", plain.replace("KEY", value))[0] == 200
    assert ask(running.web, f"/{kind}", line.replace("KEY", value))[0] == 429


@pytest.mark.parametrize("kind", SPELLINGS)
def test_a_limit_tells_other_values_apart(running: Running, kind: str) -> None:
    for line in (SPELLINGS[kind][0], *OTHERS[kind]):
        assert ask(running.web, f"/{kind}", line.replace("KEY", "other"))[0] == 200, line


@pytest.mark.parametrize("kind", SPELLINGS)
def test_every_spelling_of_a_value_goes_to_one_endpoint(running: Running, kind: str) -> None:
    for value in ("a", "b", "one", "é"):
        lines = [line.replace("KEY", value) for line in SPELLINGS[kind]]
        assert len({ask(running.web, f"/by-{kind}", line) for line in lines}) == 1


def test_blanks_around_a_value_over_http_2_are_none_of_it(running: Running) -> None:
    for value in ("a", "b", "one"):
        spelled = {
            ask_http2(running.secure, "a.example", running.ca_file, [("x-api-key", one)])
            for one in (value, f" {value}", f"\t{value} \t")
        }
        assert spelled == {ask(running.web, "/by-header", f"X-Api-Key: {value}")[1]}
